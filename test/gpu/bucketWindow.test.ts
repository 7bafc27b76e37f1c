import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttentionWithLse, lshAttention, NOTHING_SEEN } from '../../src/index.js';
import { expectAsExactAsFloat32, largestError, largestOf } from '../accuracy.js';
import { BACKENDS, type Case, call, check, checkGradient, expectOracle, onBackend } from '../call.js';
import { integers, normals, qkv } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { at, type Letters, toFloat32 } from '../oracle/shape.js';

const SHAPE: Letters = { B: 1, H: 2, L: 50, D: 24, E: 40 };

/** A case of seeded inputs, whose windows are buckets. */
function of(shape: Partial<Letters>, options: Case['options'] = {}, seed = 1): Case {
  const letters = { ...SHAPE, ...shape };
  const given = { window: 'bucket', numHashes: 2, numBuckets: 6, ...options } as const;
  return { shape: letters, ...qkv(letters, seed), options: given };
}

describe.each(BACKENDS)('on %s', (backend) => {
  /** The output and the gradient, of one hash. */
  async function checkBoth(test: Case): Promise<void> {
    const { buckets } = await check(backend, test);
    await checkGradient(backend, { ...test, buckets });
  }

  test.each([1, 31, 32, 33, 64, 65, 66, 100])('length %i', async (L) => {
    await checkBoth(of({ L }));
  });

  test.each([{ numBuckets: 2 }, { numBuckets: 64 }, { numBuckets: [4, 8] }])(
    '$numBuckets buckets',
    async ({ numBuckets }) => {
      await checkBoth(of({}, { numBuckets, numHashes: 3 }));
    },
  );

  test('the default number of buckets', async () => {
    const { numBuckets: _, ...options } = of({}).options ?? {};
    await check(backend, { ...of({ L: 100 }), options: { ...options, chunkLength: 8 } });
  });

  test.each([
    { causal: true },
    { duplicates: 'count' },
    { causal: true, duplicates: 'count', numHashes: 3 },
  ] as const)('%o', async (options) => {
    await checkBoth(of({ B: 2 }, options));
  });

  describe('given buckets', () => {
    const L = 70;
    const assignments: Record<string, (token: number, round: number) => number> = {
      'one bucket': () => 3,
      'all in the last bucket': () => 65535,
      'a bucket for every token': (token, round) => 600 * token + round,
      'half of all tokens in one': (token, round) => (token % 2 === 0 ? 7 : 100 * token + round),
      'half of all tokens in one, the first': (token) => (token < 35 ? 0 : token),
      'pairs, other ones in each round': (token, round) => (token + round) >> 1,
      'a bucket of 33 between buckets of 31': (token) => (token < 31 ? 1 : token < 64 ? 2 : 3),
    };
    test.each(Object.keys(assignments))('%s', async (name) => {
      const buckets = Int32Array.from({ length: 2 * L }, (_, i) =>
        Number(assignments[name]?.(i % L, Math.floor(i / L))),
      );
      for (const causal of [false, true]) {
        const inputs = { ...of({ H: 1, L }, { numBuckets: 65536, causal }), buckets };
        const { lse } = await check(backend, inputs);
        const alone = lse.filter((x) => x === Math.fround(NOTHING_SEEN)).length;
        expect(alone === lse.length).toBe(name === 'a bucket for every token');
        await checkGradient(backend, inputs);
      }
    });
  });

  describe('masks', () => {
    const mask = integers(2 * SHAPE.L, 4, 8).map((x) => Number(x > 0));

    test('of hashed tokens', async () => {
      const inputs = { ...of({ B: 2, H: 1 }), mask };
      const { buckets } = await check(backend, inputs);
      expect(buckets).toContain(6);
      await checkGradient(backend, inputs);
    });

    test('beside given buckets, and in them', async () => {
      const buckets = integers(2 * 2 * SHAPE.L, 6, 4);
      const inputs = { ...of({ B: 2, H: 1 }, { causal: true }), buckets, mask };
      const given = await check(backend, inputs);
      await checkGradient(backend, inputs);
      const withN = buckets.map((bucket, i) => {
        const token = Math.floor(i / (2 * SHAPE.L)) * SHAPE.L + (i % SHAPE.L);
        return mask[token] === 0 ? 6 : bucket;
      });
      const { mask: _, ...unmasked } = inputs;
      const padded = await check(backend, { ...unmasked, buckets: withN });
      expect(largestError(padded.out, given.out)).toBeLessThanOrEqual(1e-6 * largestOf(inputs.v));
    });

    test('of everything', async () => {
      const inputs = { ...of({}), mask: new Int32Array(SHAPE.L) };
      expect((await check(backend, inputs)).out).toEqual(inputs.v);
      await checkGradient(backend, inputs);
    });
  });

  test('chunks before and after and other buckets have no effect', async () => {
    const expected = await call(backend, of({}));
    const options = { chunksBefore: 2, chunksAfter: 3, chunkLength: 5 };
    expect(await call(backend, of({}, options))).toEqual(expected);
    const { out } = await call(backend, of({}, { ...options, acrossBuckets: false }));
    expect(largestError(out, expected.out)).toBeLessThanOrEqual(1e-6 * largestOf(of({}).v));
  });

  describe.each([false, true])('one bucket is dense attention, causal %s', (causal) => {
    test.each([false, true])('masked %s', async (masked) => {
      const { B, H, L, D, E } = SHAPE;
      const inputs = of({}, { causal, numHashes: 3 });
      const mask = integers(B * L, 4, 8).map((x) => Number(x > 0));
      const equal = { ...inputs, qk: inputs.qk.map((_, i) => at(inputs.qk, i % D)) };
      const explicit = { ...inputs, buckets: new Int32Array(B * H * 3 * L).fill(2) };
      for (const one of [equal, explicit]) {
        const { out, lse } = await call(backend, masked ? { ...one, mask } : one);
        await onBackend(backend, async () => {
          const dense = tf.tidy(() => ({
            ...denseAttentionWithLse(tf.tensor(one.qk, [B, H, L, D]), tf.tensor(one.v, [B, H, L, E]), {
              causal,
              ...(masked && { mask: tf.tensor(mask, [B, L], 'int32') }),
            }),
          }));
          expect(largestError(out, await dense.out.data())).toBeLessThanOrEqual(2e-6 * largestOf(one.v));
          const denseLse = (await dense.lse.data()) as Float32Array;
          expect(largestError(lse, denseLse)).toBeLessThanOrEqual(1e-5 * largestOf(one.qk));
          tf.dispose([dense.out, dense.lse]);
        });
      }
    });
  });

  describe('strict causality', () => {
    const options = { causal: true, numHashes: 3 };
    const before = (values: Float32Array, token: number, L: number, depth: number) =>
      Array.from({ length: values.length / (L * depth) }, (_, row) =>
        values.slice(row * L * depth, (row * L + token) * depth),
      );

    test.each(['correct', 'count'] as const)('a later token changes no bit, %s', async (duplicates) => {
      const L = 100;
      const inputs = of({ L }, { ...options, duplicates });
      const first = await call(backend, inputs);
      for (const token of [1, 17, 32, 64, 99]) {
        const qk = inputs.qk.slice();
        const v = inputs.v.slice();
        for (const row of [0, 1]) {
          qk.set(normals(24, token + row), (row * L + token) * 24);
          v.set(normals(40, token + row), (row * L + token) * 40);
        }
        const second = await call(backend, { ...inputs, qk, v });
        expect(before(second.out, token, L, 40)).toEqual(before(first.out, token, L, 40));
        expect(before(second.lse, token, L, 1)).toEqual(before(first.lse, token, L, 1));
        expect(second.out).not.toEqual(first.out);
      }
    });

    test('tokens that come after change no bit', async () => {
      // TensorFlow sums in an order that depends on a matrix's size.
      const expectSame = (rows: readonly Float32Array[], expected: readonly Float32Array[]) =>
        backend === 'tensorflow'
          ? expected.map((row, i) => expect(largestError(rows[i] ?? [], row)).toBeLessThan(5e-6))
          : expect(rows).toEqual(expected);
      const all = of({ L: 100 }, options);
      const whole = await call(backend, all);
      for (const L of [1, 33, 64, 90]) {
        const rows = (values: Float32Array, depth: number) => before(values, L, 100, depth);
        const start = (values: Float32Array, depth: number) =>
          Float32Array.from(rows(values, depth).flatMap((row) => [...row]));
        const part = { ...all, shape: { ...all.shape, L }, qk: start(all.qk, 24), v: start(all.v, 40) };
        const { out, lse } = await call(backend, part);
        expectSame(before(out, L, L, 40), rows(whole.out, 40));
        expectSame(before(lse, L, L, 1), rows(whole.lse, 1));
      }
    });

    test('chunk mode is not strictly causal: a later token moves the edges of the chunks', async () => {
      const L = 64;
      const inputs = of({ H: 1, L }, { ...options, window: 'chunk', chunkLength: 8, numBuckets: 8 });
      const first = await call(backend, inputs);
      const qk = inputs.qk.slice();
      qk.set(normals(24, 50), 60 * 24);
      const second = await call(backend, { ...inputs, qk });
      // Both are what they should be: it is so by definition.
      expectOracle(inputs, first);
      expectOracle({ ...inputs, qk }, second);
      const early = (values: Float32Array) => values.subarray(0, 60 * 40);
      expect(largestError(early(second.out), early(first.out))).toBeGreaterThan(1e-2);
    });
  });

  test('permuting tokens permutes the output', async () => {
    const inputs = of({});
    const { L } = SHAPE;
    const keys = integers(L, 2 ** 30, 3);
    const from = Array.from(keys.keys()).sort((a, b) => at(keys, a) - at(keys, b));
    const permuted = (values: ArrayLike<number>, depth: number) =>
      Float64Array.from(values, (_, i) => {
        const [token, column] = [Math.floor(i / depth), i % depth];
        return at(values, (token - (token % L) + at(from, token % L)) * depth + column);
      });
    const { buckets } = await call(backend, inputs);
    const letters = { R: 2, N: 6, C: 64, window: 'bucket' } as const;
    const exact = attend({ ...inputs, buckets }, SHAPE, letters);
    const naive = attend({ ...inputs, buckets }, SHAPE, letters, toFloat32);
    const moved = {
      qk: Float32Array.from(permuted(inputs.qk, 24)),
      v: Float32Array.from(permuted(inputs.v, 40)),
    };
    const { out, lse } = await call(backend, { ...inputs, ...moved });
    expectAsExactAsFloat32(out, permuted(exact.out, 40), permuted(naive.out, 40), 'out of permuted tokens');
    const lses = [permuted(exact.lse, 1), permuted(naive.lse, 1)] as const;
    expectAsExactAsFloat32(lse, ...lses, 'lse of permuted tokens');
  });

  test("'wrap' is refused", async () => {
    await onBackend(backend, async () => {
      const x = tf.zeros([64, 4]);
      const options = { window: 'bucket', roundBoundary: 'wrap', duplicates: 'count' } as const;
      expect(() => lshAttention(x, x, options)).toThrow(/lshAttention: `roundBoundary: 'wrap'`.*bucket/);
      x.dispose();
    });
  });
});
