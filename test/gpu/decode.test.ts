import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttention, LshCache, lshAttentionWithLse } from '../../src/index.js';
import { largestError } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { appendTokens, checkDecoding, decode, joined, pieces, type Sequence } from '../decode.js';
import { normals, qkv } from '../inputs.js';
import type { Letters } from '../oracle/shape.js';

const SHAPE: Letters = { B: 2, H: 2, L: 20, D: 24, E: 40 };

/** A sequence of seeded tokens. */
function of(shape: Partial<Letters>, options: Partial<Sequence['options']> = {}, seed = 1): Sequence {
  const letters = { ...SHAPE, ...shape };
  return { shape: letters, ...qkv(letters, seed), options: { numBuckets: 4, numHashes: 2, ...options } };
}

describe.each(BACKENDS)('on %s', (backend) => {
  const check = (sequence: Sequence, sizes: readonly number[]) =>
    onBackend(backend, () => checkDecoding(sequence, sizes));

  describe.each([1, 5, 64, 100])('a prefix of %i', (prefix) => {
    test.each([1, 2, 7])('and steps of %i', async (step) => {
      const L = prefix + 15;
      await check(of({ L }, { numBuckets: 2 }), pieces(L, prefix, step));
    });
  });

  test.each([1, 2, 4, 70])('%i rounds', async (numHashes) => {
    const shape = numHashes > 64 ? { B: 1, H: 1, L: 12 } : {};
    const sequence = of(shape, { numHashes });
    const sizes = pieces(sequence.shape.L, 9, 1);
    await check(sequence, sizes);
    await check({ ...sequence, options: { ...sequence.options, duplicates: 'count' } }, sizes);
  });

  test.each([
    [1, 1],
    [3, 72],
    [80, 3],
    [256, 256],
  ])('D=%i, E=%i', async (D, E) => {
    await check(of({ H: 1, D, E }), pieces(20, 3, 2));
  });

  test('given rotations, factored buckets and another scale', async () => {
    const sequence = of({}, { numHashes: 2, seed: 5, scale: '1/sqrt(D)' });
    await check(sequence, pieces(20, 3, 2));
    await onBackend(backend, async () => {
      const { D, H } = SHAPE;
      const rotations = tf.tensor(normals(H * D * 2 * 2, 9), [H, D, 2, 2]);
      const cache = new LshCache({ numHashes: 2, numBuckets: [2, 2], rotations });
      rotations.dispose(); // the cache has its own
      tf.dispose(appendTokens(cache, sequence, 0, 20));
      expect([cache.length, cache.numBuckets]).toEqual([20, [2, 2]]);
      cache.dispose();
    });
  });

  describe('masks', () => {
    const L = 20;
    const patterns: Record<string, (token: number, b: number) => boolean> = {
      'the start of one row': (token, b) => b === 1 || token >= 9,
      'the end of a prefix': (token, b) => token >= 12 || token < 5 + 4 * b,
      'some steps': (token, b) => token < 12 || (token + b) % 3 > 0,
      everything: () => false,
    };
    test.each(Object.keys(patterns))('padding at %s', async (name) => {
      const mask = Int32Array.from({ length: 2 * L }, (_, i) =>
        Number(patterns[name]?.(i % L, Math.floor(i / L))),
      );
      await check({ ...of({}), mask }, pieces(L, 12, 1));
    });
  });

  test('what the forward pass gives at every position', async () => {
    const mask = Int32Array.from({ length: 180 }, (_, i) => Number(i % 7 > 0));
    for (const duplicates of ['correct', 'count'] as const) {
      const sequence = { ...of({ L: 90 }, { duplicates }), mask };
      const { qk, v, options } = sequence;
      await onBackend(backend, async () => {
        const { out, lse } = tf.tidy(() => ({
          ...lshAttentionWithLse(tf.tensor(qk, [2, 2, 90, 24]), tf.tensor(v, [2, 2, 90, 40]), {
            ...options,
            window: 'bucket',
            causal: true,
            mask: tf.tensor(mask, [2, 90], 'int32'),
          }),
        }));
        for (const sizes of [pieces(90, 70, 1), pieces(90, 10, 40)]) {
          const decoded = await decode(sequence, sizes);
          expect(largestError(decoded.out, await out.data())).toBeLessThan(1e-5);
          expect(largestError(decoded.lse, await lse.data())).toBeLessThan(1e-5);
        }
        tf.dispose([out, lse]);
      });
    }
  });

  test('no gradient', async () => {
    await onBackend(backend, async () => {
      const cache = new LshCache({ numBuckets: 2 });
      const x = tf.ones([3, 4]);
      expect(() => tf.grad((y) => cache.append(y, y))(x)).toThrow(/Cannot compute gradient/);
      cache.dispose();
      x.dispose();
    });
  });

  test('lower ranks', async () => {
    const { qk, v } = of({ B: 1, H: 1 });
    await onBackend(backend, async () => {
      for (const leading of [[], [1]]) {
        const cache = new LshCache({ numBuckets: 4 });
        const out = tf.tidy(() =>
          cache.append(tf.tensor(qk, [...leading, 20, 24]), tf.tensor(v, [...leading, 20, 40])),
        );
        expect(out.shape).toEqual([...leading, 20, 40]);
        tf.dispose(out);
        cache.dispose();
      }
    });
  });

  test('equal vectors: one bucket, and dense attention', async () => {
    const sequence = of({ H: 1, L: 90 });
    sequence.qk.forEach((_, i) => {
      sequence.qk[i] = (i % 24) - 11;
    });
    const { out } = await check(sequence, pieces(90, 80, 1));
    await onBackend(backend, async () => {
      const dense = tf.tidy(() =>
        denseAttention(tf.tensor(sequence.qk, [2, 1, 90, 24]), tf.tensor(sequence.v, [2, 1, 90, 40]), {
          causal: true,
        }),
      );
      expect(largestError(out, await dense.data())).toBeLessThan(1e-5);
      dense.dispose();
    });
  });

  test('zero vectors, an outlier, and vectors near the end of the range', async () => {
    const sequence = of({ H: 1 });
    sequence.qk.fill(0, 0, 5 * 24);
    sequence.qk[200] = 1e4;
    await check(sequence, pieces(20, 3, 1));
    const huge = of({ H: 1 });
    huge.qk.set(huge.qk.map((x) => x * 1e17));
    const { out, lse } = await onBackend(backend, () => decode(huge, pieces(20, 3, 1)));
    expect([...out, ...lse].every(Number.isFinite)).toBe(true);
  });

  test('growth over several doublings', async () => {
    const sizes = [63, 1, 1, 62, 2, 1, 130, 3, 1];
    const L = sizes.reduce((sum, n) => sum + n, 0);
    await check(of({ B: 1, L, D: 3, E: 3 }, { numBuckets: 16 }), sizes);
  });

  test('the same bits on two runs, and however the tokens are cut', async () => {
    const sequence = of({ B: 1, L: 90 });
    await onBackend(backend, async () => {
      const once = await decode(sequence, pieces(90, 60, 1));
      expect(await decode(sequence, pieces(90, 60, 1))).toEqual(once);
      if (backend === 'webgpu') {
        expect(await decode(sequence, pieces(90, 7, 9))).toEqual(once);
        expect(await decode(sequence, pieces(90, 33, 57))).toEqual(once);
      }
    });
  });

  describe('reorder', () => {
    /** Rows `beams` of a sequence's batch. */
    function rowsOf(sequence: Sequence, beams: readonly number[]): Sequence {
      const { B } = sequence.shape;
      const rows = (values: Float32Array) => {
        const size = values.length / B;
        return Float32Array.from(beams.flatMap((b) => Array.from(values.subarray(b * size, (b + 1) * size))));
      };
      const shape = { ...sequence.shape, B: beams.length };
      return { ...sequence, shape, qk: rows(sequence.qk), v: rows(sequence.v) };
    }

    /** Tokens before `first` of one sequence, the others of another. */
    function continued(before: Sequence, after: Sequence, first: number): Sequence {
      const { B, H, L } = after.shape;
      const join = (a: Float32Array, b: Float32Array) =>
        b.map((x, i) => (Math.floor(i / (b.length / (B * H * L))) % L < first ? (a[i] as number) : x));
      return { ...after, qk: join(before.qk, after.qk), v: join(before.v, after.v) };
    }

    test.each<[string, (beams: number[]) => number[] | tf.Tensor]>([
      ['a list', (beams) => beams],
      ['a tensor', (beams) => tf.tensor1d(beams, 'int32')],
      ['a tensor on the device', (beams) => tf.sub(tf.tensor1d(beams, 'int32'), tf.tensor1d([0], 'int32'))],
    ])('by %s: beams repeated and dropped, a batch that grows and shrinks', async (_, indices) => {
      await onBackend(backend, async () => {
        const generations = [of({}, {}, 1), of({ B: 5 }, {}, 2), of({ B: 1 }, {}, 3)];
        const choices = [[1, 0, 1, 1, 0], [3]];
        const starts = [0, 8, 13, 20];
        const cache = new LshCache(generations[0]?.options as Sequence['options']);
        let history: Sequence | undefined;
        for (const [g, generation] of generations.entries()) {
          const parts: [tf.Tensor, tf.Tensor][] = [];
          const first = starts[g] as number;
          const end = starts[g + 1] as number;
          history = history === undefined ? generation : continued(history, generation, first);
          while (cache.length < end) {
            parts.push(appendTokens(cache, history, cache.length, 1));
          }
          const { out } = await joined(parts);
          const whole = await checkDecoding(history, pieces(20, 12, 1));
          const { B, H, L, E } = history.shape;
          const expected = whole.out.filter((_, i) => {
            const token = Math.floor(i / E) % L;
            return token >= first && token < end;
          });
          expect(expected.length).toBe(B * H * (end - first) * E);
          expect(largestError(out, expected)).toBeLessThan(1e-5);
          const beams = choices[g];
          if (beams !== undefined) {
            const chosen = indices(beams);
            cache.reorder(chosen);
            tf.dispose(chosen instanceof tf.Tensor ? chosen : []);
            history = rowsOf(history, beams);
          }
        }
        cache.dispose();
      });
    });
  });
});
