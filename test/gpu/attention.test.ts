import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { lshAttention, lshAttentionWithLse, NOTHING_SEEN, presets } from '../../src/index.js';
import { BACKENDS, type Case, call, check, expectOracle, onBackend } from '../call.js';
import { integers, normals, qkv, uniform } from '../inputs.js';
import type { Letters } from '../oracle/shape.js';

const SHAPE: Letters = { B: 2, H: 2, L: 37, D: 24, E: 40 };

/** A case of seeded inputs. */
function of(shape: Partial<Letters>, options: Case['options'] = {}, seed = 1): Case {
  const letters = { ...SHAPE, ...shape };
  return { shape: letters, ...qkv(letters, seed), options: { chunkLength: 16, ...options } };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test.each([1, 2, 15, 16, 17, 32, 33, 65, 100])('length %i', async (L) => {
    await check(backend, of({ L }));
  });

  test.each([1, 5, 33, 36, 37, 1000])('chunks of %i', async (chunkLength) => {
    await check(backend, of({}, { chunkLength }));
  });

  test.each([
    [1, 256],
    [3, 1],
    [24, 3],
    [64, 64],
    [72, 80],
    [80, 24],
    [128, 128],
    [256, 72],
  ])('D=%i, E=%i', async (D, E) => {
    await check(backend, of({ H: 1, L: 50, D, E }, { numHashes: 2 }));
  });

  test.each([1, 2, 3, 8])('%i rounds', async (numHashes) => {
    await check(backend, of({}, { numHashes }));
  });

  test.each([
    { numBuckets: 2 },
    { numBuckets: 6 },
    { numBuckets: 64 },
    { numBuckets: [4, 8] },
    { numBuckets: [2, 6, 4] },
  ])('$numBuckets buckets', async ({ numBuckets }) => {
    await check(backend, of({}, { numBuckets }));
  });

  describe.each([0, 1, 2])('%i chunks before', (chunksBefore) => {
    test.each([0, 1, 2])('%i after', async (chunksAfter) => {
      await check(backend, of({}, { chunksBefore, chunksAfter }));
      const wrapped = { duplicates: 'count', roundBoundary: 'wrap', numHashes: 2 } as const;
      await check(backend, of({ L: 48 }, { ...wrapped, chunksBefore, chunksAfter }));
    });
  });

  test('windows far wider than the row', async () => {
    await check(backend, of({}, { chunksBefore: 1000, chunksAfter: 2000 }));
  });

  test('wrapped windows that meet themselves see a key more than once', async () => {
    const options = { duplicates: 'count', roundBoundary: 'wrap', numHashes: 2 } as const;
    await check(backend, of({ L: 32 }, { ...options, chunksBefore: 4, chunksAfter: 3 }));
  });

  describe.each([false, true])('causal %s', (causal) => {
    describe.each([false, true])('acrossBuckets %s', (acrossBuckets) => {
      test.each([
        { duplicates: 'correct', roundBoundary: 'stop' },
        { duplicates: 'count', roundBoundary: 'stop' },
        { duplicates: 'count', roundBoundary: 'wrap' },
      ] as const)('$duplicates, $roundBoundary', async (options) => {
        await check(backend, of({ L: 48 }, { ...options, causal, acrossBuckets, numBuckets: 6 }));
      });
    });
  });

  test.each([0.01, 3, '1/sqrt(D)'] as const)('scale %s', async (scale) => {
    await check(backend, of({}, { scale }));
  });

  test.each(['reformer', 'paper'] as const)('preset %s', async (name) => {
    await check(backend, of({ L: 48 }, { ...presets[name], causal: true }));
    await check(backend, of({ L: 48 }, presets[name]));
  });

  describe('masks', () => {
    const L = SHAPE.L;
    const patterns: Record<string, (token: number, b: number) => boolean> = {
      'position 0': (token) => token !== 0,
      'all but position 0': (token) => token === 0,
      everything: () => false,
      nothing: () => true,
      'the end': (token) => token < L - 9,
      'the start': (token) => token > 20,
      'every other token': (token) => token % 2 === 1,
      'all but two': (token) => token === 5 || token === 30,
      'one batch row wholly': (_, b) => b === 1,
      'other tokens in each batch row': (token, b) => (token * 7 + b * 3) % 5 > 1,
    };
    test.each(Object.keys(patterns))('padding at %s', async (name) => {
      const mask = Int32Array.from({ length: 2 * L }, (_, i) =>
        Number(patterns[name]?.(i % L, Math.floor(i / L))),
      );
      const { buckets } = await check(backend, { ...of({}, { numBuckets: 6 }), mask });
      for (const [i, bucket] of buckets.entries()) {
        const real = mask[Math.floor(i / (2 * 4 * L)) * L + (i % L)];
        expect(bucket === 6).toBe(real === 0);
      }
      const fewer = { causal: true, acrossBuckets: false, numBuckets: 4, numHashes: 2 };
      await check(backend, { ...of({}, fewer), mask });
    });

    test('wrapped, with padding to a multiple of the chunk', async () => {
      const mask = Int32Array.from({ length: 2 * 48 }, (_, i) => Number(i % 48 < 40));
      const options = { duplicates: 'count', roundBoundary: 'wrap', causal: true } as const;
      await check(backend, { ...of({ L: 48 }, options), mask });
    });

    test('any number but 0 attends, and bool is as good as int32', async () => {
      const inputs = of({ B: 1 });
      const ones = Int32Array.from({ length: L }, (_, i) => Number(i % 3 > 0));
      const expected = await call(backend, { ...inputs, mask: ones });
      const many = ones.map((one, i) => one * (i % 2 === 0 ? -7 : 256));
      expect((await call(backend, { ...inputs, mask: many })).out).toEqual(expected.out);
      const out = await onBackend(backend, async () => {
        const { D, E, H } = inputs.shape;
        const mask = tf.greater(tf.tensor(ones, [1, L], 'int32'), tf.scalar(0, 'int32'));
        expect(mask.dtype).toBe('bool');
        const qk = tf.tensor(inputs.qk, [1, H, L, D]);
        return lshAttention(qk, tf.tensor(inputs.v, [1, H, L, E]), { ...inputs.options, mask }).data();
      });
      expect(out).toEqual(expected.out);
    });
  });

  describe('awkward values', () => {
    test('all-equal vectors', async () => {
      const inputs = of({});
      const qk = inputs.qk.map((_, i) => inputs.qk[i % SHAPE.D] as number);
      const { buckets } = await check(backend, { ...inputs, qk });
      const L = SHAPE.L;
      expect(buckets.every((bucket, i) => bucket === buckets[Math.floor(i / L) * L])).toBe(true);
      await check(backend, { ...inputs, qk, options: { ...inputs.options, acrossBuckets: false } });
    });

    test('zero vectors', async () => {
      const inputs = of({});
      const { buckets } = await check(backend, { ...inputs, qk: inputs.qk.map(() => 0) });
      expect(buckets.every((bucket) => bucket === 0)).toBe(true);
      await check(backend, {
        ...inputs,
        qk: inputs.qk.map((x, i) => (Math.floor(i / SHAPE.D) % 3 ? x : 0)),
      });
    });

    test('zero values', async () => {
      const inputs = of({});
      await check(backend, { ...inputs, v: inputs.v.map(() => 0) });
    });

    test('one outlier of 1e4', async () => {
      const inputs = of({});
      inputs.qk[1000] = 1e4;
      await check(backend, inputs);
      inputs.v[1000] = -1e4;
      await check(backend, inputs);
    });

    test.each([1e-18, 1e3, 1e18])('values of %f', async (magnitude) => {
      const inputs = of({});
      await check(backend, { ...inputs, v: inputs.v.map((x) => (x * magnitude) / 25) });
    });

    test.each([1e-18, 1e-3])('queries of %f', async (magnitude) => {
      const inputs = of({});
      await check(backend, { ...inputs, qk: inputs.qk.map((x) => x * magnitude) });
    });

    test.each([1e3, 1e9, 1e18])('queries of %f give averages of values', async (magnitude) => {
      // So large that float32 cannot tell which key wins: only what holds for any winner is tested.
      const next = uniform(5);
      for (const D of [24, 256]) {
        const inputs = of({ B: 1, H: 1, D, E: 40 });
        const qk = inputs.qk.map(() => (2 * next() - 1) * magnitude);
        const { out, lse } = await call(backend, { ...inputs, qk });
        for (let e = 0; e < 40; e++) {
          const column = (values: Float32Array) => Array.from(values).filter((_, i) => i % 40 === e);
          expect(Math.min(...column(out))).toBeGreaterThanOrEqual(Math.min(...column(inputs.v)) - 1e-5);
          expect(Math.max(...column(out))).toBeLessThanOrEqual(Math.max(...column(inputs.v)) + 1e-5);
        }
        expect(lse.every((x) => Math.abs(x) <= magnitude * D)).toBe(true);
      }
    });

    test('values that repeat in every token come back', async () => {
      const inputs = of({});
      const v = inputs.v.map((_, i) => (i % SHAPE.E) - 7);
      const { out } = await check(backend, { ...inputs, v });
      expect(out.length).toBe(v.length);
    });
  });

  describe('what is given in place of the hash', () => {
    test.each([1, 2])('rotations of %i heads', async (heads) => {
      const numBuckets = [4, 6];
      const rotations = normals(heads * SHAPE.D * 3 * 5, 9);
      await check(backend, { ...of({}, { numBuckets, numHashes: 3 }), rotations });
    });

    test('buckets', async () => {
      const buckets = integers(2 * 2 * 3 * SHAPE.L, 6, 4);
      const inputs = { ...of({}, { numHashes: 3, numBuckets: 6 }), buckets };
      expect((await check(backend, inputs)).buckets).toEqual(buckets);
      await check(backend, { ...inputs, options: { ...inputs.options, acrossBuckets: false } });
    });

    test('buckets, some of padding', async () => {
      const padded = integers(2 * SHAPE.L, 5, 8).map((x) => Number(x > 0));
      const bucketOf = integers(2 * 2 * 3 * SHAPE.L, 6, 4);
      const options = { numHashes: 3, numBuckets: 6 };
      const withN = bucketOf.map((bucket, i) =>
        padded[Math.floor(i / (2 * 3 * SHAPE.L)) * SHAPE.L + (i % SHAPE.L)] === 0 ? 6 : bucket,
      );
      const given = await check(backend, { ...of({}, options), buckets: withN });
      const masked = await check(backend, { ...of({}, options), buckets: withN, mask: padded });
      expect(masked.out).toEqual(given.out);
      expect(masked.lse).toEqual(given.lse);
    });

    test('buckets by which padding stands among the tokens', async () => {
      const mask = integers(2 * SHAPE.L, 5, 8).map((x) => Number(x > 0));
      const buckets = integers(2 * 2 * 3 * SHAPE.L, 6, 4);
      const options = { numHashes: 3, numBuckets: 6, causal: true };
      await check(backend, { ...of({}, options), buckets, mask });
      await check(backend, { ...of({}, { ...options, acrossBuckets: false }), buckets, mask });
    });

    test('the buckets of an earlier call give that call again', async () => {
      const inputs = of({}, { causal: true });
      const first = await call(backend, inputs);
      const again = await call(backend, { ...inputs, buckets: first.buckets });
      expect(again.out).toEqual(first.out);
      expect(again.lse).toEqual(first.lse);
    });
  });

  test('the same call gives the same bits, another seed another result', async () => {
    const first = await call(backend, of({}, { seed: 3 }));
    expect(await call(backend, of({}, { seed: 3 }))).toEqual(first);
    expect((await call(backend, of({}, { seed: 4 }))).buckets).not.toEqual(first.buckets);
  });

  test('ranks 2, 3 and 4 are the same with leading axes of 1', async () => {
    const inputs = of({ B: 1, H: 1 });
    const { L, D, E } = inputs.shape;
    const expected = await call(backend, inputs);
    await onBackend(backend, async () => {
      for (const axes of [[], [1], [1, 1]]) {
        const qk = tf.tensor(inputs.qk, [...axes, L, D]);
        const v = tf.tensor(inputs.v, [...axes, L, E]);
        const { out, lse } = lshAttentionWithLse(qk, v, inputs.options);
        expect(out.shape).toEqual([...axes, L, E]);
        expect(lse.shape).toEqual([...axes, L]);
        expect(await out.data()).toEqual(expected.out);
        expect(await lse.data()).toEqual(expected.lse);
      }
      const heads = { ...of({ B: 1, H: 3 }), options: inputs.options };
      const fourAxes = await call(backend, heads);
      const qk = tf.tensor(heads.qk, [3, L, D]);
      const out = lshAttention(qk, tf.tensor(heads.v, [3, L, E]), inputs.options);
      expect(out.shape).toEqual([3, L, E]);
      expect(await out.data()).toEqual(fourAxes.out);
    });
  });

  test('integers cast to float32 are read as floats', async () => {
    const shape = { ...SHAPE, B: 1, H: 1 };
    const { L, D, E } = shape;
    const qk = integers(L * D, 9, 1).map((x) => x - 4);
    const v = integers(L * E, 2, 2);
    const inputs = {
      shape,
      qk: Float32Array.from(qk),
      v: Float32Array.from(v),
      options: { chunkLength: 16 },
    };
    const expected = await check(backend, inputs);
    await onBackend(backend, async () => {
      for (const dtype of ['int32', 'bool'] as const) {
        const cast = tf.cast(tf.tensor(v, [L, E], dtype), 'float32');
        const out = lshAttention(tf.cast(tf.tensor(qk, [L, D], 'int32'), 'float32'), cast, inputs.options);
        expect(await out.data()).toEqual(expected.out);
      }
    });
  });

  test('one tensor may be queries and values', async () => {
    const inputs = of({ E: 24 });
    const { B, H, L, D } = inputs.shape;
    const x = { ...inputs, v: inputs.qk };
    const expected = await call(backend, x);
    expectOracle(x, expected);
    await onBackend(backend, async () => {
      const both = tf.tensor(inputs.qk, [B, H, L, D]);
      expect(await lshAttention(both, both, inputs.options).data()).toEqual(expected.out);
    });
  });

  test('tensors that other operations made', async () => {
    const inputs = of({ B: 1, H: 2 });
    const { L, D, E } = inputs.shape;
    const expected = await call(backend, inputs);
    await onBackend(backend, async () => {
      const byToken = tf.transpose(tf.tensor(inputs.qk, [1, 2, L, D]), [0, 2, 1, 3]);
      const qk = tf.transpose(byToken, [0, 2, 1, 3]);
      const v = tf.slice(tf.concat([tf.tensor(inputs.v, [1, 2, L, E]), tf.ones([1, 2, 3, E])], 2), 0, [
        1,
        2,
        L,
        E,
      ]);
      const doubled = tf.mul(lshAttention(qk, v, inputs.options), 2);
      expect(await doubled.data()).toEqual(expected.out.map((x) => 2 * x));
    });
  });

  test.each([
    [0, 2, 7],
    [2, 0, 7],
    [2, 2, 0],
  ])('empty: B=%i, H=%i, L=%i', async (B, H, L) => {
    await onBackend(backend, async () => {
      const { out, lse } = lshAttentionWithLse(tf.zeros([B, H, L, 4]), tf.zeros([B, H, L, 3]));
      expect(out.shape).toEqual([B, H, L, 3]);
      expect(lse.shape).toEqual([B, H, L]);
      expect((await out.data()).length).toBe(0);
      expect((await lse.data()).length).toBe(0);
    });
  });

  test('row 0 of a causal sequence returns its own v', async () => {
    const { out, lse } = await call(backend, of({ B: 1, H: 1 }, { causal: true }));
    expect(out.subarray(0, SHAPE.E)).toEqual(of({ B: 1, H: 1 }).v.subarray(0, SHAPE.E));
    expect(lse[0]).toBe(Math.fround(NOTHING_SEEN));
  });
});
