import { describe, expect, test } from 'vitest';
import { dropoutWeights, dropoutWord } from '../../src/attention/dropout.js';
import { pcg } from '../../src/hashing/random.js';
import { integers, uniform } from '../inputs.js';

/* The contract in integers of any size, reduced after every step. */

const word = (x: bigint): bigint => BigInt.asUintN(32, x);

function scramble(x: bigint): bigint {
  const s = word(x * 747796405n + 2891336453n);
  const w = word(((s >> ((s >> 28n) + 4n)) ^ s) * 277803737n);
  return (w >> 22n) ^ w;
}

/** 0 or 1/(1 − p): what multiplies the weight of the pair (i, j) of batch b and head h, counted in round r. */
function dropoutFactor(
  p: number,
  seed: number,
  b: number,
  h: number,
  r: number,
  i: number,
  j: number,
): number {
  let k = scramble(word(BigInt(seed)) ^ 0x64726f70n);
  for (const index of [b, h, r, i]) {
    k = scramble(word(k + BigInt(index)));
  }
  const drawn = Number(scramble(word(k + scramble(BigInt(j)))));
  return drawn < Math.min(2 ** 32 - 1, Math.round(p * 2 ** 32)) ? 0 : 1 / (1 - p);
}

const range = (length: number) => Int32Array.from({ length }, (_, i) => i);

/** All pairs of L tokens. */
function square(L: number, B: number, H: number, p: number, seed: number, r = 0): Float32Array {
  const pairs = { blocks: 1, queries: range(L), keys: range(L), queriesPerBlock: L, keysPerBlock: L };
  return dropoutWeights({ B, H }, { p, seed }, r, pairs);
}

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

test('pcg is the bijection that its name says', () => {
  // A known answer; one step of the generator takes the state 0 to 2891336453.
  expect(pcg(0)).toBe(129708002);
  const words = Float64Array.from({ length: 50_000 }, (_, i) => pcg(i * 85_899)).sort();
  expect(words.every((x, i) => i === 0 || x > (words[i - 1] as number))).toBe(true);
});

describe('dropoutWeights', () => {
  test.each([0, 1, 2 ** 31, 2 ** 32 - 1])('is the contract in whole numbers, seed %i', (seed) => {
    const [B, H, blocks, Q, K, r] = [2, 3, 2, 4, 5, 3];
    const p = 0.4;
    const queries = integers(B * H * blocks * Q, 2 ** 24, 1);
    const keys = integers(B * H * blocks * K, 2 ** 24, 2);
    const pairs = { blocks, queries, keys, queriesPerBlock: Q, keysPerBlock: K };
    const weights = dropoutWeights({ B, H }, { p, seed }, r, pairs);
    let at = 0;
    for (let block = 0; block < B * H * blocks; block++) {
      const row = Math.floor(block / blocks);
      for (let q = 0; q < Q; q++) {
        for (let k = 0; k < K; k++) {
          const [i, j] = [queries[block * Q + q] as number, keys[block * K + k] as number];
          const factor = dropoutFactor(p, seed, Math.floor(row / H), row % H, r, i, j);
          expect(weights[at++]).toBe(Math.fround(factor));
        }
      }
    }
    expect(at).toBe(weights.length);
  });

  test('a table of one row serves all rows, and a part is the part of the whole', () => {
    const [B, H, L] = [2, 2, 12];
    const whole = square(L, B, H, 0.3, 9);
    // Two blocks of six queries, over the last four keys.
    const queries = range(L);
    const keys = Int32Array.of(8, 9, 10, 11, 8, 9, 10, 11);
    const part = dropoutWeights({ B, H }, { p: 0.3, seed: 9 }, 0, {
      blocks: 2,
      queries,
      keys,
      queriesPerBlock: 6,
      keysPerBlock: 4,
    });
    for (let row = 0; row < B * H * L; row++) {
      expect(part.subarray(row * 4, row * 4 + 4)).toEqual(whole.subarray(row * L + 8, row * L + L));
    }
  });

  test.each([0.01, 0.1, 0.5, 0.9])('drops the share %f and keeps the mean', (p) => {
    const weights = square(200, 2, 2, p, 5);
    const n = weights.length;
    // Five standard errors of the share.
    const most = 5 * Math.sqrt((p * (1 - p)) / n);
    expect(Math.abs(mean(weights.map((m) => Number(m === 0))) - p)).toBeLessThan(most);
    expect(Math.abs(mean(weights) - 1)).toBeLessThan(most / (1 - p));
  });

  test('no dropout keeps all, and the most that there is nothing', () => {
    expect(square(40, 1, 2, 0, 3).every((m) => m === 1)).toBe(true);
    expect(square(40, 1, 2, 1 - 2 ** -53, 3).every((m) => m === 0)).toBe(true);
  });

  test('pairs that differ in one index are independent', () => {
    const next = uniform(4);
    const pick = (most: number) => Math.floor(next() * most);
    const n = 20_000;
    for (let place = 0; place < 6; place++) {
      let both = 0;
      for (let k = 0; k < n; k++) {
        const index = [pick(2 ** 32), pick(8), pick(16), pick(8), pick(2 ** 16), pick(2 ** 16)];
        const draw = () => dropoutWord(...(index as [number, number, number, number, number, number]));
        const first = draw() < 2 ** 31;
        index[place] = (index[place] as number) + 1;
        both += Number(first === draw() < 2 ** 31);
      }
      expect(Math.abs(both / n - 0.5), `index ${place}`).toBeLessThan(5 * 0.5 * Math.sqrt(1 / n));
    }
  });
});
