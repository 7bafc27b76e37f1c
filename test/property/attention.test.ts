import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NOTHING_SEEN } from '../../src/index.js';
import { expectAsExactAsFloat32, largestError, largestOf } from '../accuracy.js';
import { BACKENDS, type Case, call, check, checkGradient, expectOracle } from '../call.js';
import { integers, normals, qkv, uniform } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { dense } from '../oracle/dense.js';
import { at, type Letters, toFloat32 } from '../oracle/shape.js';

// Depths stay the same: a pipeline takes far longer to compile than to run. fast-check prints the
// seed and the smallest failing case.
const D = 24;
const E = 40;

const shapes = fc.record({
  B: fc.integer({ min: 1, max: 2 }),
  H: fc.integer({ min: 1, max: 3 }),
  L: fc.integer({ min: 1, max: 50 }),
});

const numBuckets = fc.oneof(
  fc.integer({ min: 1, max: 20 }).map((half) => 2 * half),
  fc.array(
    fc.integer({ min: 1, max: 4 }).map((half) => 2 * half),
    { minLength: 1, maxLength: 3 },
  ),
);

/** Cases of all options; with 'wrap' the length is made a multiple of the chunk. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    sizes: shapes,
    seed: fc.nat(2 ** 31),
    padding: fc.constantFrom('none', 'some', 'most'),
    options: fc.record(
      {
        numHashes: fc.integer({ min: 1, max: 4 }),
        numBuckets,
        chunkLength: fc.integer({ min: 1, max: 60 }),
        chunksBefore: fc.integer({ min: 0, max: 2 }),
        chunksAfter: fc.integer({ min: 0, max: 2 }),
        causal: fc.boolean(),
        acrossBuckets: fc.boolean(),
        dropout: fc.constantFrom(0, 0, 0.3),
        scale: fc.constantFrom(0.1, 1, 3),
        rotation: fc.constantFrom('gaussian', 'hadamard'),
        seed: fc.nat(2 ** 32 - 1),
      },
      { requiredKeys: [] },
    ),
    rounds: fc.constantFrom('correct', 'count', 'wrap', 'bucket'),
  })
  .map(({ sizes, seed, padding, options, rounds }) => {
    const { chunkLength = 64 } = options;
    const wrap = rounds === 'wrap';
    const C = wrap ? Math.min(chunkLength, sizes.L) : chunkLength;
    const shape = { ...sizes, L: wrap ? Math.floor(sizes.L / C) * C : sizes.L, D, E };
    const chunks = (shape.L / C) * (options.numHashes ?? 4);
    const within = (n: number | undefined, usual: number) => Math.min(n ?? usual, wrap ? chunks : 2);
    const most = { none: 1, some: 4, most: 2 }[padding];
    const mask = integers(shape.B * shape.L, most, seed).map((x) =>
      Number(padding === 'none' || (padding === 'some' ? x > 0 : x === 0)),
    );
    return {
      shape,
      ...qkv(shape, seed),
      ...(padding !== 'none' && { mask }),
      options: {
        ...options,
        chunkLength: C,
        chunksBefore: within(options.chunksBefore, 1),
        chunksAfter: within(options.chunksAfter, 0),
        window: rounds === 'bucket' ? 'bucket' : 'chunk',
        duplicates: rounds === 'correct' || (rounds === 'bucket' && seed % 2 === 0) ? 'correct' : 'count',
        roundBoundary: wrap ? 'wrap' : 'stop',
      },
    };
  });

test.each(BACKENDS)('any call is the oracle on %s', async (backend) => {
  await fc.assert(
    fc.asyncProperty(cases, async (any) => {
      await check(backend, any);
    }),
    { numRuns: 30 },
  );
});

test.each(BACKENDS)('any gradient is the oracle on %s', async (backend) => {
  await fc.assert(
    fc.asyncProperty(cases, async (any) => {
      await checkGradient(backend, any);
    }),
    { numRuns: 12 },
  );
});

test('cpu and webgpu agree, given the same buckets', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (any) => {
      const first = await call('webgpu', any);
      const second = await call('cpu', { ...any, buckets: first.buckets });
      // Measured: at most 1.7e-7 of the largest value.
      expect(largestError(second.out, first.out)).toBeLessThanOrEqual(1e-6 * largestOf(any.v));
    }),
    { numRuns: 15 },
  );
});

describe.each(BACKENDS)('on %s', (backend) => {
  test('one chunk for all is dense attention, whatever the hash', async () => {
    const options = fc.record({
      causal: fc.boolean(),
      numHashes: fc.integer({ min: 1, max: 3 }),
      numBuckets,
    });
    await fc.assert(
      fc.asyncProperty(shapes, options, fc.nat(2 ** 31), fc.nat(3), async (sizes, given, seed, extra) => {
        const shape = { ...sizes, D, E };
        const any = { shape, ...qkv(shape, seed), options: { ...given, chunkLength: sizes.L + extra } };
        const { out, lse } = await call(backend, any);
        const exact = dense(any.qk, any.v, shape, given);
        const naive = dense(any.qk, any.v, shape, given, toFloat32);
        expectAsExactAsFloat32(out, exact.out, naive.out, 'out');
        const seen = Array.from(lse.keys()).filter((i) => exact.lse[i] !== NOTHING_SEEN);
        const of = (values: ArrayLike<number>) => seen.map((i) => at(values, i));
        expectAsExactAsFloat32(of(lse), of(exact.lse), of(naive.lse), 'lse');
      }),
      { numRuns: 15 },
    );
  });

  test('permuting tokens permutes the output where one chunk holds all', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(2 ** 31), async (sizes, seed) => {
        const shape = { ...sizes, D, E };
        const { L } = sizes;
        const { qk, v } = qkv(shape, seed);
        const next = uniform(seed);
        const keys = Array.from({ length: L }, next);
        const from = keys.map((_, i) => i).sort((a, b) => at(keys, a) - at(keys, b));
        const permuted = (values: ArrayLike<number>, depth: number) =>
          Float64Array.from(values, (_, i) => {
            const [token, column] = [Math.floor(i / depth), i % depth];
            const row = Math.floor(token / L) * L;
            return at(values, (row + at(from, token % L)) * depth + column);
          });
        const options = { chunkLength: L, numHashes: 2 };
        const moved = { qk: Float32Array.from(permuted(qk, D)), v: Float32Array.from(permuted(v, E)) };
        const { out } = await call(backend, { shape, ...moved, options });
        const exact = permuted(dense(qk, v, shape).out, E);
        const naive = permuted(dense(qk, v, shape, {}, toFloat32).out, E);
        expectAsExactAsFloat32(out, exact, naive, 'out of permuted tokens');
      }),
      { numRuns: 10 },
    );
  });

  test("'correct' converges to dense attention as rounds grow", async () => {
    const shape: Letters = { B: 1, H: 4, L: 48, D, E };
    const options = { chunkLength: 8, numBuckets: 6 };
    const rounds = [1, 4, 16, 40];
    const errors = new Float64Array(rounds.length);
    for (const seed of [1, 2]) {
      const inputs = qkv(shape, seed);
      const exact = dense(inputs.qk, inputs.v, shape).out;
      for (const [n, numHashes] of rounds.entries()) {
        const { out } = await call(backend, { shape, ...inputs, options: { ...options, numHashes, seed } });
        errors[n] =
          at(errors, n) + out.reduce((sum, x, i) => sum + Math.abs(x - at(exact, i)), 0) / out.length;
      }
    }
    for (const n of [1, 2, 3]) {
      expect(at(errors, n)).toBeLessThan(0.8 * at(errors, n - 1));
    }
  });

  test('at recall 1 only rounding is left', async () => {
    // Round 0 and 1 of any two tokens: a chunk of halves, then of the halves' halves swapped.
    const shape: Letters = { B: 1, H: 1, L: 4 * 8, D, E };
    const quarters = [0, 1, 2, 3];
    const pairings = [
      [0, 0, 1, 1],
      [0, 1, 0, 1],
      [0, 1, 1, 0],
    ];
    const buckets = Int32Array.from(
      pairings.flatMap((pairing) => quarters.flatMap((q) => Array<number>(8).fill(at(pairing, q)))),
    );
    const options = { chunkLength: 16, chunksBefore: 0, numHashes: 3, numBuckets: 2 };
    const inputs = { shape, ...qkv(shape, 6), buckets, options };
    const exact = dense(inputs.qk, inputs.v, shape).out;
    const naive = dense(inputs.qk, inputs.v, shape, {}, toFloat32).out;
    const correct = await check(backend, inputs);
    expectAsExactAsFloat32(correct.out, exact, naive, 'out');
    const count = await check(backend, { ...inputs, options: { ...options, duplicates: 'count' } });
    expect(largestError(count.out, exact)).toBeGreaterThan(1e-3);
  });

  test("'count' is the softmax of s + log N_ij", async () => {
    // Two equal rounds count each key twice: the same output, and log 2 more in the log-sum-exp.
    const shape: Letters = { B: 1, H: 2, L: 40, D, E };
    const once = integers(2 * 40, 4, 3);
    const twice = Int32Array.from([
      ...once.subarray(0, 40),
      ...once.subarray(0, 40),
      ...once.subarray(40),
      ...once.subarray(40),
    ]);
    const options = { chunkLength: 8, numBuckets: 4, duplicates: 'count' as const };
    const inputs = { shape, ...qkv(shape, 6) };
    const one = await call(backend, { ...inputs, buckets: once, options: { ...options, numHashes: 1 } });
    const two = await call(backend, { ...inputs, buckets: twice, options: { ...options, numHashes: 2 } });
    expect(largestError(two.out, one.out)).toBeLessThanOrEqual(1e-6 * largestOf(inputs.v));
    expect(
      largestError(
        two.lse,
        one.lse.map((x) => x + Math.LN2),
      ),
    ).toBeLessThanOrEqual(1e-5);
    const corrected = { ...options, numHashes: 2, duplicates: 'correct' as const };
    const three = await call(backend, { ...inputs, buckets: twice, options: corrected });
    expect(largestError(three.lse, one.lse)).toBeLessThanOrEqual(1e-5);
  });
});

test('the oracle itself: the correction makes it a softmax over the union', () => {
  const shape: Letters = { B: 1, H: 1, L: 20, D: 4, E: 3 };
  const { qk, v } = { qk: normals(80, 1), v: normals(60, 2) };
  const buckets = integers(3 * 20, 4, 9);
  const all = attend({ qk, v, buckets }, shape, { R: 3, N: 4, C: 20 });
  const exact = dense(qk, v, shape);
  expect(largestError(all.out, exact.out)).toBeLessThan(1e-14);
  expect(largestError(all.lse, exact.lse)).toBeLessThan(1e-13);
  expectOracle(
    { shape, qk, v, options: { numHashes: 3, numBuckets: 4, chunkLength: 20 } },
    { out: Float32Array.from(all.out), lse: Float32Array.from(all.lse), buckets },
  );
});
