import { describe, expect, test } from 'vitest';
import { largestError, largestOf } from '../accuracy.js';
import { integers, normals, qkv, uniform } from '../inputs.js';
import { type AttendInputs, type AttendOptions, attend } from '../oracle/attend.js';
import { dense } from '../oracle/dense.js';
import { dropoutWord, keptFactor, type Place } from '../oracle/dropout.js';
import { gradient, type OutputGradients } from '../oracle/gradient.js';
import { at, type Letters, toFloat32 } from '../oracle/shape.js';
import { NOTHING } from '../oracle/softmax.js';

const SHAPE: Letters = { B: 2, H: 2, L: 9, D: 3, E: 2 };

/** Buckets of every round and row, with padding at the places of `mask` that are 0. */
function bucketsOf({ B, H, L }: Letters, R: number, N: number, mask?: ArrayLike<number>): Int32Array {
  return integers(B * H * R * L, N, 4).map((bucket, i) => {
    const token = Math.floor(i / (H * R * L)) * L + (i % L);
    return mask !== undefined && mask[token] === 0 ? N : bucket;
  });
}

/** Σ out·dOut + Σ lse·dLse, queries that see nothing apart. */
function loss(inputs: AttendInputs, { dOut, dLse }: OutputGradients, shape: Letters, options: AttendOptions) {
  const { out, lse } = attend(inputs, shape, options);
  const ofOut = out.reduce((sum, x, i) => sum + x * at(dOut, i), 0);
  return lse.reduce((sum, x, i) => (x === NOTHING ? sum : sum + x * at(dLse ?? [], i)), ofOut);
}

/** Central differences of a function of `values`. */
function differences(values: Float64Array, step: number, of: (values: Float64Array) => number): Float64Array {
  return values.map((x, i) => {
    const moved = (by: number) => of(values.map((y, n) => (n === i ? x + by : y)));
    return (moved(step) - moved(-step)) / (2 * step);
  });
}

function expectDifferences(inputs: AttendInputs, shape: Letters, options: AttendOptions, step: number) {
  const { B, H, L, E } = shape;
  const from = { dOut: normals(B * H * L * E, 7), dLse: normals(B * H * L, 8) };
  const qk = Float64Array.from(inputs.qk);
  const v = Float64Array.from(inputs.v);
  const exact = gradient({ ...inputs, qk, v }, from, shape, options);
  const dqk = differences(qk, step, (qk) => loss({ ...inputs, qk, v }, from, shape, options));
  const dv = differences(v, 1e-5, (v) => loss({ ...inputs, qk, v }, from, shape, options));
  expect(largestOf(exact.dqk)).toBeGreaterThan(0.1);
  expect(largestError(exact.dqk, dqk)).toBeLessThan(1e-8 * Math.max(1, largestOf(dqk)));
  expect(largestError(exact.dv, dv)).toBeLessThan(1e-8 * Math.max(1, largestOf(dv)));
}

describe('the gradient is the finite differences of the output', () => {
  const options = { R: 3, N: 4, C: 4 };
  const variants: Record<string, AttendOptions> = {
    chunk: options,
    'chunk, P and A': { ...options, C: 2, P: 0, A: 2 },
    'chunk, causal': { ...options, causal: true },
    'chunk, count': { ...options, duplicates: 'count', scale: 0.7 },
    'chunk, wrap': { ...options, C: 3, A: 1, duplicates: 'count', wrap: true },
    'chunk, wrap, a key seen more than once': {
      ...{ ...options, R: 2, C: 3, P: 4, A: 3 },
      ...({ duplicates: 'count', wrap: true, causal: true } as const),
    },
    'chunk, own bucket only': { ...options, acrossBuckets: false, causal: true },
    'chunk, dropout': { ...options, dropout: 0.4, seed: 3 },
    'chunk, dropout, count': { ...options, dropout: 0.4, seed: 3, duplicates: 'count' },
    'chunk, dropout, wrap': { ...options, C: 3, dropout: 0.2, duplicates: 'count', wrap: true },
    bucket: { ...options, window: 'bucket' },
    'bucket, causal': { ...options, window: 'bucket', causal: true, scale: 2 },
    'bucket, count': { ...options, window: 'bucket', duplicates: 'count' },
    'bucket, dropout': { ...options, window: 'bucket', dropout: 0.5, causal: true },
    'bucket, dropout, count': { ...options, window: 'bucket', duplicates: 'count', dropout: 0.1 },
  };
  test.each(Object.keys(variants))('%s', (name) => {
    const variant = variants[name] as AttendOptions;
    const inputs = { ...qkv(SHAPE, 1), buckets: bucketsOf(SHAPE, variant.R, variant.N) };
    expectDifferences(inputs, SHAPE, variant, 1e-5);
  });

  test.each(['chunk', 'bucket'] as const)('%s, masks and lone queries', (window) => {
    const mask = Int32Array.from({ length: SHAPE.B * SHAPE.L }, (_, i) => Number(i % 4 > 0));
    const buckets = bucketsOf(SHAPE, 3, 4, mask);
    const inputs = { ...qkv(SHAPE, 2), buckets };
    for (const dropout of [0, 0.5]) {
      const masked = { ...options, window, C: 2, P: 0, causal: true, dropout };
      const { lse } = attend(inputs, SHAPE, masked);
      const real = (_: number, i: number) => mask[Math.floor(i / (2 * SHAPE.L)) * SHAPE.L + (i % SHAPE.L)];
      expect(lse.filter(real)).toContain(NOTHING);
      expectDifferences(inputs, SHAPE, masked, 1e-5);
    }
  });

  test('padding that stands among the tokens', () => {
    const mask = Int32Array.from({ length: SHAPE.B * SHAPE.L }, (_, i) => Number(i % 4 > 0));
    const keys = bucketsOf(SHAPE, 3, 4);
    const inputs = { ...qkv(SHAPE, 2), buckets: bucketsOf(SHAPE, 3, 4, mask), keys };
    expectDifferences(inputs, SHAPE, { ...options, C: 3 }, 1e-5);
  });

  test('zero vectors, whose keys turn in a hair', () => {
    const { qk, v } = qkv(SHAPE, 3);
    qk.fill(0, 5 * SHAPE.D, 7 * SHAPE.D);
    // Their norm is sqrt(D)·1e-3: the step must be far below it.
    expectDifferences({ qk, v, buckets: bucketsOf(SHAPE, 3, 4) }, SHAPE, options, 1e-7);
  });

  test('in naive float32 it is near, and is not the same', () => {
    const shape = { ...SHAPE, L: 30, D: 24, E: 8 };
    const inputs = { ...qkv(shape, 1), buckets: bucketsOf(shape, 3, 4) };
    const { B, H, L, E } = shape;
    const from = { dOut: normals(B * H * L * E, 7), dLse: normals(B * H * L, 8) };
    for (const dropout of [0, 0.5]) {
      const exact = gradient(inputs, from, shape, { ...options, dropout });
      const naive = gradient(inputs, from, shape, { ...options, dropout }, toFloat32);
      for (const name of ['dqk', 'dv'] as const) {
        const error = largestError(naive[name], exact[name]) / largestOf(exact[name]);
        expect(error).toBeGreaterThan(1e-9);
        expect(error).toBeLessThan(1e-4);
        expect(naive[name].every((x) => Math.fround(x) === x)).toBe(true);
      }
    }
  });
});

describe('dropout', () => {
  const shape = { ...SHAPE, L: 30, E: 3 };
  const options = { R: 3, N: 4, C: 8 };
  const inputs = { ...qkv(shape, 1), buckets: bucketsOf(shape, 3, 4) };

  test('the words are those of the contract, in integers of any size', () => {
    const most = 2n ** 32n;
    const pcg = (x: bigint) => {
      const s = (x * 747796405n + 2891336453n) % most;
      const w = (((s >> ((s >> 28n) + 4n)) ^ s) * 277803737n) % most;
      return (w >> 22n) ^ w;
    };
    const random = uniform(3);
    const word32 = () => Math.floor(random() * 2 ** 32);
    for (let n = 0; n < 200; n++) {
      const seed = word32();
      const place = { b: word32(), h: word32(), r: word32(), i: word32(), j: word32() };
      let k = pcg(BigInt(seed) ^ 0x64726f70n);
      for (const coordinate of [place.b, place.h, place.r, place.i]) {
        k = pcg((k + BigInt(coordinate)) % most);
      }
      expect(BigInt(dropoutWord(seed, place))).toBe(pcg((k + pcg(BigInt(place.j))) % most));
    }
  });

  test.each([0.01, 0.1, 0.5, 0.9])('a share of %f goes, whichever place varies', (dropout) => {
    const places: ((n: number) => Place)[] = [
      (n) => ({ b: n, h: 1, r: 2, i: 3, j: 4 }),
      (n) => ({ b: 1, h: n, r: 2, i: 3, j: 4 }),
      (n) => ({ b: 1, h: 0, r: n, i: 3, j: 4 }),
      (n) => ({ b: 1, h: 0, r: 2, i: n, j: 4 }),
      (n) => ({ b: 1, h: 0, r: 2, i: 3, j: n }),
      (n) => ({ b: 1, h: 0, r: 2, i: n % 200, j: Math.floor(n / 200) }),
    ];
    for (const place of places) {
      const count = 20_000;
      const kept = Array.from({ length: count }, (_, n) => keptFactor(dropout, 5, place(n)));
      const share = kept.filter((m) => m === 0).length / count;
      const deviation = Math.sqrt((dropout * (1 - dropout)) / count);
      expect(Math.abs(share - dropout)).toBeLessThan(4 * deviation);
      // Neighbours fall alike no more often than chance has it.
      const both = kept.filter((m, n) => m === 0 && kept[n + 1] === 0).length / count;
      expect(Math.abs(both - dropout ** 2)).toBeLessThan(6 * dropout * Math.sqrt(1 / count));
    }
  });

  test('the largest probability drops next to all, and the smallest next to none', () => {
    const place = { b: 0, h: 0, r: 0, i: 0, j: 0 };
    expect(keptFactor(1 - 2 ** -40, 0, place)).toBe(0);
    expect(keptFactor(2 ** -40, 0, place)).toBe(1 / (1 - 2 ** -40));
  });

  test('a corrected pair is kept or dropped as one, and lse is what it was', () => {
    const plain = attend(inputs, shape, options);
    const dropped = attend(inputs, shape, { ...options, dropout: 0.5 });
    expect(largestError(dropped.lse, plain.lse)).toBeLessThan(1e-14);
    // One key alone: its weight is 1, and what comes out is v or nothing, times two.
    const two = { ...shape, L: 2 };
    const alone = { ...qkv(two, 3), buckets: new Int32Array(2 * 2 * 3 * 2) };
    const { out } = attend(alone, two, { R: 3, N: 4, C: 2, dropout: 0.5, seed: 2 });
    const other = (i: number) => at(alone.v, (Math.floor(i / 3) % 2 === 0 ? i + 3 : i - 3) as number);
    const factors = Array.from(out, (x, i) => Math.round((100 * x) / other(i)) / 100);
    expect(new Set(factors.map(Math.abs))).toEqual(new Set([0, 2]));
  });

  test("'count' drops each round's terms on their own", () => {
    const two = { ...shape, L: 2 };
    const alone = { ...qkv(two, 3), buckets: new Int32Array(2 * 2 * 4 * 2) };
    const all = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const count = { R: 4, N: 4, C: 2, dropout: 0.5, seed, duplicates: 'count' } as const;
      const { out } = attend(alone, two, count);
      all.add(Math.abs(Math.round((100 * at(out, 0)) / at(alone.v, 3)) / 100));
    }
    expect([...all].sort()).toEqual([0, 0.5, 1, 1.5, 2]);
  });

  test('over many seeds the mean is the output without it', () => {
    for (const duplicates of ['correct', 'count'] as const) {
      const plain = attend(inputs, shape, { ...options, duplicates }).out;
      const seeds = 100;
      const mean = new Float64Array(plain.length);
      for (let seed = 0; seed < seeds; seed++) {
        const { out } = attend(inputs, shape, { ...options, duplicates, dropout: 0.5, seed });
        out.forEach((x, i) => {
          mean[i] = at(mean, i) + x / seeds;
        });
      }
      const error = (a: ArrayLike<number>) =>
        Math.sqrt(plain.reduce((sum, x, i) => sum + (x - at(a, i)) ** 2, 0) / plain.length);
      const once = error(attend(inputs, shape, { ...options, duplicates, dropout: 0.5, seed: 0 }).out);
      expect(error(mean)).toBeLessThan((1.5 * once) / Math.sqrt(seeds));
    }
  });
});

describe("window 'bucket'", () => {
  const shape = { ...SHAPE, L: 20 };
  const { qk, v } = qkv(shape, 1);

  test.each([false, true])('one bucket is dense attention, causal %s', (causal) => {
    for (const R of [1, 3]) {
      const buckets = new Int32Array(2 * 2 * R * 20).fill(1);
      const all = attend({ qk, v, buckets }, shape, { R, N: 2, C: 4, window: 'bucket', causal });
      const exact = dense(qk, v, shape, { causal });
      expect(largestError(all.out, exact.out)).toBeLessThan(1e-14);
      const seen = (lse: Float64Array) => lse.filter((x) => x !== NOTHING);
      expect(largestError(seen(all.lse), seen(exact.lse))).toBeLessThan(1e-13);
    }
  });

  test('a token alone in its bucket returns its own v', () => {
    const buckets = Int32Array.from({ length: 2 * 2 * 20 }, (_, i) => i % 20);
    const { out, lse } = attend({ qk, v, buckets }, shape, { R: 1, N: 20, C: 4, window: 'bucket' });
    expect(Float32Array.from(out)).toEqual(v);
    expect(lse.every((x) => x === NOTHING)).toBe(true);
  });

  test('a window of all chunks within the bucket is the same', () => {
    const buckets = bucketsOf(shape, 3, 4);
    const wide = { R: 3, N: 4, C: 4, P: 5, A: 5, acrossBuckets: false, causal: true };
    const chunks = attend({ qk, v, buckets }, shape, wide);
    const whole = attend({ qk, v, buckets }, shape, { R: 3, N: 4, C: 1, causal: true, window: 'bucket' });
    expect(largestError(whole.out, chunks.out)).toBeLessThan(1e-14);
  });
});
