import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs's ops
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttention, denseAttentionWithLse, NOTHING_SEEN } from '../../src/index.js';
import { expectAsExactAsFloat32, largestError, largestOf } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { finiteDifferences } from '../differences.js';
import { integers, normals, qkv } from '../inputs.js';
import { dense } from '../oracle/dense.js';
import { keptFactor } from '../oracle/dropout.js';
import { at, type Numbers, toFloat32 } from '../oracle/shape.js';

const SHAPE = { B: 2, H: 2, L: 45, D: 24, E: 40 };

describe.each(BACKENDS)('on %s', (backend) => {
  describe.each([false, true])('causal %s', (causal) => {
    test.each(['none', 'some', 'all'])('padding: %s', async (padding) => {
      const { B, H, L, D, E } = SHAPE;
      const { qk, v } = qkv(SHAPE, 4);
      const mask =
        padding === 'none'
          ? undefined
          : integers(B * L, 3, 6).map((x) => Number(padding === 'some' && x > 0));
      const scale = 0.4;
      const options = { causal, scale, ...(mask && { mask }) };
      const exact = dense(qk, v, SHAPE, options);
      const naive = dense(qk, v, SHAPE, options, toFloat32);
      await onBackend(backend, async () => {
        const { out, lse } = tf.tidy(() => ({
          ...denseAttentionWithLse(tf.tensor(qk, [B, H, L, D]), tf.tensor(v, [B, H, L, E]), {
            causal,
            scale,
            ...(mask && { mask: tf.tensor(mask, [B, L], 'int32') }),
          }),
        }));
        expectAsExactAsFloat32(await out.data(), exact.out, naive.out, 'out');
        const lses = await lse.data();
        const seen = Array.from(lses.keys()).filter((i) => exact.lse[i] !== NOTHING_SEEN);
        const of = (values: ArrayLike<number>) => seen.map((i) => at(values, i));
        expectAsExactAsFloat32(of(lses), of(exact.lse), of(naive.lse), 'lse');
        for (const [i, x] of lses.entries()) {
          expect(x === Math.fround(NOTHING_SEEN)).toBe(exact.lse[i] === NOTHING_SEEN);
        }
        tf.dispose([out, lse]);
      });
    });
  });
});

test('queries go in blocks where their logits are many', async () => {
  // 2200² logits are more than one block holds; the mask leaves the oracle fifty tokens.
  const shape = { B: 1, H: 1, L: 2200, D: 3, E: 1 };
  const { qk, v } = qkv(shape, 5);
  const mask = Int32Array.from({ length: shape.L }, (_, i) => Number(i % 42 === 41));
  const exact = dense(qk, v, shape, { mask });
  const naive = dense(qk, v, shape, { mask }, toFloat32);
  await onBackend('cpu', async () => {
    const out = tf.tidy(() =>
      denseAttention(tf.tensor(qk, [shape.L, shape.D]), tf.tensor(v, [shape.L, shape.E]), {
        mask: tf.tensor(mask, [1, shape.L], 'int32'),
      }),
    );
    expectAsExactAsFloat32(await out.data(), exact.out, naive.out, 'out');
    out.dispose();
  });
});

describe.each(BACKENDS)('dropout and gradients on %s', (backend) => {
  const shape = { B: 2, H: 2, L: 9, D: 4, E: 3 };
  const { B, H, L, D, E } = shape;
  const mask = Int32Array.from({ length: B * L }, (_, i) => Number(i % 9 !== 4));
  const { qk, v } = qkv(shape, 8);
  const dropout = { p: 0.35, seed: 11 };

  /** The dropped attention in float64: weights are what attention to the unit vectors returns. */
  function dropped(queries: Numbers, values: Numbers, { p, seed }: { p: number; seed: number }) {
    const units = Float64Array.from({ length: B * H * L * L }, (_, n) =>
      Number(Math.floor(n / L) % L === n % L),
    );
    const { out: weights, lse } = dense(queries, units, { ...shape, E: L }, { causal: true, mask });
    return Float64Array.from({ length: B * H * L * E }, (_, n) => {
      const [query, e] = [Math.floor(n / E), n % E];
      const row = Math.floor(query / L);
      let sum = 0;
      for (let j = 0; j < L; j++) {
        const place = { b: Math.floor(row / H), h: row % H, r: 0, i: query % L, j };
        const factor = lse[query] === NOTHING_SEEN ? 1 : keptFactor(p, seed, place);
        sum += at(weights, query * L + j) * factor * at(values, (row * L + j) * E + e);
      }
      return sum;
    });
  }

  const options = (padding: tf.Tensor, { p, seed } = dropout) => ({
    causal: true,
    mask: padding,
    dropout: p,
    seed,
  });

  test('the pairs of round 0 are dropped, and a lone query is not', async () => {
    await onBackend(backend, async () => {
      const out = tf.tidy(() =>
        denseAttention(
          tf.tensor(qk, [B, H, L, D]),
          tf.tensor(v, [B, H, L, E]),
          options(tf.tensor(mask, [B, L], 'int32')),
        ),
      );
      expect(largestError(await out.data(), dropped(qk, v, dropout))).toBeLessThan(1e-5);
      out.dispose();
    });
  });

  test.each([dropout, { p: 0, seed: 0 }])(
    'the gradient is that of finite differences, dropout $p',
    async (drop) => {
      const dOut = normals(B * H * L * E, 30);
      await onBackend(backend, async () => {
        const gradients = tf.tidy(() => {
          const padding = tf.tensor(mask, [B, L], 'int32');
          const direction = tf.tensor(dOut, [B, H, L, E]);
          return tf.grads((x: tf.Tensor, y: tf.Tensor) =>
            tf.sum(tf.mul(denseAttention(x, y, options(padding, drop)), direction)),
          )([tf.tensor(qk, [B, H, L, D]), tf.tensor(v, [B, H, L, E])]);
        });
        const exact = [
          finiteDifferences((x) => dropped(x, v, drop), qk, dOut),
          finiteDifferences((y) => dropped(qk, y, drop), v, dOut),
        ];
        for (const [n, expected] of exact.entries()) {
          const error = largestError(await (gradients[n] as tf.Tensor).data(), expected);
          expect(error, `of the gradient by ${['qk', 'v'][n]}`).toBeLessThan(
            1e-5 * (1 + largestOf(expected)),
          );
        }
        tf.dispose(gradients);
      });
    },
  );

  test('the log-sum-exp has a gradient too', async () => {
    await onBackend(backend, async () => {
      const seen = Float32Array.from(dense(qk, v, shape, { causal: true, mask }).lse, (x) =>
        Number(x !== NOTHING_SEEN),
      );
      const gradient = tf.tidy(() => {
        const padding = tf.tensor(mask, [B, L], 'int32');
        const values = tf.tensor(v, [B, H, L, E]);
        return tf.grad((x: tf.Tensor) => {
          const { lse } = denseAttentionWithLse(x, values, options(padding));
          return tf.sum(tf.mul(lse, tf.tensor(seen, [B, H, L])));
        })(tf.tensor(qk, [B, H, L, D]));
      });
      const expected = finiteDifferences((x) => dense(x, v, shape, { causal: true, mask }).lse, qk, seen);
      expect(largestError(await gradient.data(), expected)).toBeLessThan(1e-5 * (1 + largestOf(expected)));
      gradient.dispose();
    });
  });
});
