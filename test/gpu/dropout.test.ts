import { describe, expect, test } from 'vitest';
import { NOTHING_SEEN } from '../../src/index.js';
import { largestError, largestOf } from '../accuracy.js';
import { BACKENDS, type Case, call, callGradient, check, checkGradient } from '../call.js';
import { integers, normals, qkv } from '../inputs.js';
import { keptFactor } from '../oracle/dropout.js';
import { at, type Letters } from '../oracle/shape.js';

const SHAPE: Letters = { B: 2, H: 2, L: 37, D: 24, E: 40 };

const VARIANTS = {
  chunk: {},
  'chunk, wrapped': { duplicates: 'count', roundBoundary: 'wrap', chunkLength: 37, chunksBefore: 2 },
  'bucket, causal': { window: 'bucket', causal: true },
} as const satisfies Record<string, Case['options']>;
const NAMES = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];

/** A case of seeded inputs with dropout. */
function of(name: keyof typeof VARIANTS, options: Case['options'] = {}, shape: Partial<Letters> = {}): Case {
  const letters = { ...SHAPE, ...shape };
  return {
    shape: letters,
    ...qkv(letters, 1),
    options: {
      ...{ chunkLength: 16, numHashes: 2, numBuckets: 4, dropout: 0.4, seed: 3 },
      ...VARIANTS[name],
      ...options,
    },
  };
}

/** Each token's value is its place in the sequence, so that the outputs are the weights: E ≥ L. */
function withWeightsAsOutputs(test: Case): Case {
  const { L, E } = test.shape;
  return { ...test, v: test.v.map((_, i) => Number(Math.floor(i / E) % L === i % E)) };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(NAMES)('output and gradient, %s', async (name) => {
    const { buckets } = await check(backend, of(name));
    await checkGradient(backend, { ...of(name), buckets });
  });

  test.each([1e-6, 0.9, 1 - 1e-6])('a probability of %f', async (dropout) => {
    await check(backend, of('chunk', { dropout }, { H: 1 }));
    await checkGradient(backend, of('chunk', { dropout }, { B: 1 }));
  });

  test('any seed, and masks', async () => {
    const mask = integers(2 * SHAPE.L, 4, 8).map((x) => Number(x > 0));
    for (const seed of [0, 2 ** 31, 2 ** 32 - 1]) {
      await check(backend, { ...of('chunk', { seed }, { H: 1 }), mask });
    }
  });

  test('a probability of 0 changes no bit', async () => {
    const { dropout: _, ...options } = of('chunk').options ?? {};
    const without = { ...of('chunk'), options };
    const none = of('chunk', { dropout: 0 });
    expect(await call(backend, none)).toEqual(await call(backend, without));
    const dOut = normals(none.v.length, 5);
    expect(await callGradient(backend, none, dOut)).toEqual(await callGradient(backend, without, dOut));
  });

  test('the same seed gives the same bits, another seed drops others', async () => {
    // Given buckets, so that the seed is that of dropout alone.
    const buckets = integers(2 * 2 * 2 * SHAPE.L, 4, 5);
    const first = await call(backend, { ...of('chunk'), buckets });
    expect(await call(backend, { ...of('chunk'), buckets })).toEqual(first);
    const other = await call(backend, { ...of('chunk', { seed: 4 }), buckets });
    expect(largestError(other.out, first.out)).toBeGreaterThan(0.1);
    expect(other.lse).toEqual(first.lse);
  });

  test.each(NAMES)('the log-sum-exp is of all pairs, dropped ones too, %s', async (name) => {
    const dropped = await call(backend, of(name));
    const whole = await call(backend, of(name, { dropout: 0 }));
    expect(largestError(dropped.lse, whole.lse)).toBeLessThanOrEqual(1e-5 * largestOf(of(name).qk));
    expect(largestError(dropped.out, whole.out)).toBeGreaterThan(0.1);
  });

  test('a share of the pairs goes, and the others are scaled', async () => {
    const dropout = 0.25;
    const dropped = await call(backend, withWeightsAsOutputs(of('chunk', { dropout, chunkLength: 37 })));
    const whole = await call(backend, withWeightsAsOutputs(of('chunk', { dropout: 0, chunkLength: 37 })));
    let gone = 0;
    let pairs = 0;
    for (const [i, weight] of whole.out.entries()) {
      if (weight > 1e-30) {
        pairs++;
        const factor = at(dropped.out, i) / weight;
        gone += Number(factor === 0);
        expect(factor === 0 || Math.abs(factor * (1 - dropout) - 1) < 1e-4).toBe(true);
      }
    }
    expect(pairs).toBeGreaterThan(4 * 37 * 30);
    const deviation = Math.sqrt((dropout * (1 - dropout)) / pairs);
    expect(Math.abs(gone / pairs - dropout)).toBeLessThan(4 * deviation);
  });

  test('over many seeds the mean is the output without it', async () => {
    const shape = { B: 1, H: 1, L: 20 };
    const buckets = integers(2 * 20, 4, 5);
    const { out } = await call(backend, { ...of('chunk', { dropout: 0 }, shape), buckets });
    const mean = new Float64Array(out.length);
    const distance = (a: ArrayLike<number>) =>
      Math.sqrt(out.reduce((sum, x, i) => sum + (x - at(a, i)) ** 2, 0) / out.length);
    let once = 0;
    const seeds = 64;
    for (let seed = 0; seed < seeds; seed++) {
      const dropped = await call(backend, { ...of('chunk', { seed }, shape), buckets });
      once += distance(dropped.out) / seeds;
      for (const [i, x] of dropped.out.entries()) {
        mean[i] = at(mean, i) + x / seeds;
      }
    }
    expect(once).toBeGreaterThan(0.1);
    expect(distance(mean)).toBeLessThan((1.5 * once) / Math.sqrt(seeds));
  });

  test('a query that sees nothing keeps its own v', async () => {
    const causal = of('chunk', { dropout: 0.99, causal: true });
    const { out, lse } = await call(backend, causal);
    for (let row = 0; row < 4; row++) {
      const [first, E] = [row * SHAPE.L, SHAPE.E];
      expect(lse[first]).toBe(Math.fround(NOTHING_SEEN));
      expect(out.subarray(first * E, (first + 1) * E)).toEqual(causal.v.subarray(first * E, (first + 1) * E));
    }
  });

  test('batch rows, heads and queries have masks of their own', async () => {
    // The same row four times, and all keys alike: only the masks differ.
    const inputs = withWeightsAsOutputs(of('chunk', { chunkLength: 37 }));
    const buckets = new Int32Array(2 * 2 * 2 * SHAPE.L);
    const { out } = await call(backend, { ...inputs, qk: inputs.qk.map(() => 1), buckets });
    const masks = new Set<string>();
    for (let query = 0; query < 4 * SHAPE.L; query++) {
      masks.add(
        out
          .subarray(query * SHAPE.E, (query + 1) * SHAPE.E)
          .map((x) => Number(x > 0))
          .join(''),
      );
    }
    expect(masks.size).toBe(4 * SHAPE.L);
  });
});

test.each(NAMES)('webgpu and cpu drop the same pairs, forward and backward, %s', async (name) => {
  const inputs = withWeightsAsOutputs(of(name));
  const first = await call('webgpu', inputs);
  const second = await call('cpu', { ...inputs, buckets: first.buckets });
  const isDropped = (values: Float32Array) => Array.from(values, (x) => x === 0);
  expect(isDropped(second.out)).toEqual(isDropped(first.out));
  const dOut = normals(inputs.v.length, 5);
  const given = { ...of(name), buckets: first.buckets };
  const [ofKernels, ofOps] = [
    await callGradient('webgpu', given, dOut),
    await callGradient('cpu', given, dOut),
  ];
  expect(largestError(ofOps.dqk, ofKernels.dqk)).toBeLessThanOrEqual(1e-5 * largestOf(ofKernels.dqk));
  expect(largestError(ofOps.dv, ofKernels.dv)).toBeLessThanOrEqual(1e-5 * largestOf(ofKernels.dv));
});

test('the pairs that go are those of the contract', async () => {
  const inputs = withWeightsAsOutputs(of('chunk', { chunkLength: 37, numHashes: 1 }));
  const { out } = await call('webgpu', inputs);
  const { B, H, L, E } = SHAPE;
  for (let query = 0; query < B * H * L; query++) {
    const [b, h, i] = [Math.floor(query / (H * L)), Math.floor(query / L) % H, query % L];
    for (let j = 0; j < L; j++) {
      const kept = j !== i && keptFactor(0.4, 3, { b, h, r: 0, i, j }) > 0;
      expect(at(out, query * E + j) > 0).toBe(kept);
    }
  }
});
