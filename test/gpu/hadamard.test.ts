import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { hadamardSigns } from '../../src/hashing/hadamard.js';
import { type LshAttentionOptions, lshBuckets } from '../../src/index.js';
import { BACKENDS, type Backend, check, onBackend } from '../call.js';
import { checkDecoding, pieces } from '../decode.js';
import { integers, normals, qkv } from '../inputs.js';
import { hadamardHash } from '../oracle/hadamard.js';
import type { Hashed } from '../oracle/hash.js';
import { at } from '../oracle/shape.js';
import { runKernel } from './runKernel.js';

/** Rounding in float32 cannot reach farther than this, in units of |q|. */
const CLEAR_MARGIN = 1e-4;
const GARBAGE = 0x5eed5eed;

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const product = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);

/** Small integers: float32 makes no error with them, so that every tie is exact and every bucket must agree. */
const exactInputs = (count: number, seed: number) =>
  Float32Array.from(integers(count, 17, seed), (x, i) => (i % 5 === 0 ? 0 : x - 8));

function expectBuckets(buckets: ArrayLike<number>, expected: Hashed, leastClear: number): void {
  const clear = Array.from(expected.margins.keys()).filter((i) => at(expected.margins, i) > CLEAR_MARGIN);
  expect(clear.length).toBeGreaterThanOrEqual(leastClear * buckets.length);
  const of = (values: ArrayLike<number>) => clear.map((i) => at(values, i));
  expect(of(buckets)).toEqual(of(expected.buckets));
}

interface Case {
  readonly B: number;
  readonly H: number;
  readonly L: number;
  readonly D: number;
  readonly R: number;
  readonly factors: readonly number[];
}

/** Depths at and between powers of two; one column to many blocks; slices within a block and across. */
const CASES: readonly Case[] = [
  { B: 1, H: 1, L: 1, D: 1, R: 1, factors: [2] },
  { B: 2, H: 1, L: 70, D: 1, R: 2, factors: [4, 8] },
  { B: 2, H: 3, L: 70, D: 3, R: 2, factors: [6] },
  { B: 1, H: 2, L: 65, D: 3, R: 1, factors: [64] },
  { B: 1, H: 2, L: 130, D: 8, R: 3, factors: [64] },
  { B: 2, H: 2, L: 64, D: 24, R: 3, factors: [64] },
  { B: 1, H: 2, L: 67, D: 24, R: 2, factors: [2, 62, 6, 130] },
  { B: 1, H: 1, L: 40, D: 24, R: 1, factors: Array<number>(16).fill(2) },
  { B: 2, H: 1, L: 33, D: 64, R: 2, factors: [4, 8] },
  { B: 1, H: 2, L: 33, D: 80, R: 2, factors: [64] },
  { B: 1, H: 1, L: 17, D: 128, R: 1, factors: [66] },
  { B: 1, H: 2, L: 20, D: 256, R: 2, factors: [6] },
  { B: 1, H: 1, L: 9, D: 256, R: 1, factors: [4, 256, 300] },
];

/** Parameters and workgroups of hash/hadamard for all rows. */
function dispatch({ B, H, L, D, R, factors }: Case) {
  const depth = 2 ** Math.ceil(Math.log2(D));
  const tiles = Math.ceil(L / Math.min(64, 2048 / depth));
  const halves = factors.map((f) => f / 2);
  const F = sum(halves);
  const N = product(factors);
  return {
    params: { H, L, D, R, F, N, tiles, halves, firstRow: 0, qkStart: 0, bucketsStart: 0 },
    workgroups: tiles * R * B * H,
  };
}

describe('hash/hadamard', () => {
  test.each(CASES)('B=$B H=$H L=$L D=$D R=$R N=$factors', async (any) => {
    const { B, H, L, D, R, factors } = any;
    const { params, workgroups } = dispatch(any);
    const signs = hadamardSigns({ H, D, R, F: params.F }, 9);
    const mask = integers(B * L, 3, 5);
    for (const masked of [false, true]) {
      for (const inputs of [exactInputs, normals]) {
        const qk = inputs(B * H * L * D, L);
        const { buckets } = await runKernel('hash/hadamard', {
          constants: { MASKED: Number(masked) },
          params,
          workgroups,
          buffers: { qk, signs, mask, buckets: new Int32Array(B * H * R * L).fill(GARBAGE) },
        });
        const expected = hadamardHash({ qk, signs, ...(masked && { mask }) }, any, R, factors);
        if (inputs === exactInputs) {
          expect(buckets).toEqual(expected.buckets);
        } else {
          // Shallow vectors have few rotations, which tie wherever they come twice.
          expectBuckets(buckets, expected, D < 24 ? 0 : 0.99);
        }
      }
    }
  });

  test('a batch of rows from within larger tensors', async () => {
    const any: Case = { B: 2, H: 3, L: 70, D: 24, R: 2, factors: [8] };
    const { B, H, L, D, R } = any;
    const { params } = dispatch(any);
    const signs = hadamardSigns({ H, D, R, F: 4 }, 2);
    const qk = exactInputs(B * H * L * D, 1);
    const mask = integers(B * L, 3, 3);
    const whole = hadamardHash({ qk, signs, mask }, any, R, [8]).buckets;
    const [firstRow, rows, bucketsStart] = [2, 3, 7];
    const { buckets } = await runKernel('hash/hadamard', {
      constants: { MASKED: 1 },
      params: { ...params, firstRow, bucketsStart, qkStart: firstRow * L * D },
      workgroups: params.tiles * R * rows,
      buffers: { qk, signs, mask, buckets: new Int32Array(B * H * R * L).fill(GARBAGE) },
    });
    const expected = new Int32Array(B * H * R * L).fill(GARBAGE);
    expected.set(whole.subarray(firstRow * R * L, (firstRow + rows) * R * L), bucketsStart);
    expect(buckets).toEqual(expected);
  });
});

/** What `lshBuckets` returns for `qk [B, H, L, D]`. */
function bucketsOn(
  backend: Backend,
  qk: Float32Array,
  { B, H, L, D }: Case,
  options: LshAttentionOptions,
  mask?: Int32Array,
) {
  return onBackend(backend, async () => {
    const tensor = tf.tidy(() =>
      lshBuckets(tf.tensor(qk, [B, H, L, D]), {
        rotation: 'hadamard',
        ...options,
        ...(mask && { mask: tf.tensor(mask, [B, L], 'int32') }),
      }),
    );
    const values = await tensor.data();
    tensor.dispose();
    return values as Int32Array;
  });
}

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(CASES)('lshBuckets: B=$B H=$H L=$L D=$D R=$R N=$factors', async (any) => {
    const { B, H, L, D, R, factors } = any;
    const seed = 2 ** 32 - 5;
    const signs = hadamardSigns({ H, D, R, F: sum(factors) / 2 }, seed);
    const options = { numHashes: R, numBuckets: factors, seed };
    const mask = integers(B * L, 4, 8);
    const exact = exactInputs(B * H * L * D, 3);
    const expected = hadamardHash({ qk: exact, signs, mask }, any, R, factors);
    expect(await bucketsOn(backend, exact, any, options, mask)).toEqual(expected.buckets);
    const qk = normals(B * H * L * D, 3);
    qk[Math.floor(qk.length / 2)] = 1e4;
    const real = hadamardHash({ qk, signs }, any, R, factors);
    // An outlier makes its token nearly sparse: one row more that may tie.
    expectBuckets(await bucketsOn(backend, qk, any, options), real, D < 24 ? 0 : 0.97);
  });

  test('sparse vectors, whose columns all tie, and zeros', async () => {
    const any: Case = { B: 1, H: 2, L: 40, D: 24, R: 3, factors: [16, 6] };
    const qk = Float32Array.from({ length: 2 * 40 * 24 }, (_, i) => {
      const [token, d] = [Math.floor(i / 24) % 40, i % 24];
      return d === token ? token - 11 : 0;
    });
    const signs = hadamardSigns({ H: 2, D: 24, R: 3, F: 11 }, 0);
    const { buckets } = hadamardHash({ qk, signs }, any, 3, [16, 6]);
    expect(await bucketsOn(backend, qk, any, { numHashes: 3, numBuckets: [16, 6] })).toEqual(buckets);
  });

  test('the first rounds of many are the rounds of few', async () => {
    const any: Case = { B: 1, H: 2, L: 30, D: 24, R: 2, factors: [80] };
    const qk = normals(2 * 30 * 24, 1);
    const few = await bucketsOn(backend, qk, any, { numHashes: 2, numBuckets: 80 });
    const many = await bucketsOn(backend, qk, any, { numHashes: 5, numBuckets: 80 });
    for (const h of [0, 1]) {
      expect(many.subarray(h * 150, h * 150 + 60)).toEqual(few.subarray(h * 60, h * 60 + 60));
    }
  });

  test('attention by it is the oracle', async () => {
    const shape = { B: 2, H: 2, L: 50, D: 24, E: 40 };
    const mask = integers(2 * 50, 5, 6).map((x) => Number(x > 0));
    const options = { rotation: 'hadamard', chunkLength: 8, numHashes: 3, seed: 4 } as const;
    const hadamard = await check(backend, { shape, ...qkv(shape, 2), mask, options });
    const gaussian = await check(backend, {
      shape,
      ...qkv(shape, 2),
      mask,
      options: { ...options, rotation: 'gaussian' },
    });
    expect(hadamard.buckets).not.toEqual(gaussian.buckets);
  });

  test('decoding by it is the oracle', async () => {
    const shape = { B: 2, H: 2, L: 20, D: 24, E: 40 };
    const options = { rotation: 'hadamard', numBuckets: 4, numHashes: 2, seed: 5 } as const;
    await onBackend(backend, () => checkDecoding({ shape, ...qkv(shape, 1), options }, pieces(20, 3, 2)));
  });
});
