import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttention, denseAttentionWithLse, NOTHING_SEEN } from '../../src/index.js';
import { expectAsExactAsFloat32 } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers, qkv } from '../inputs.js';
import { dense } from '../oracle/dense.js';
import { at, toFloat32 } from '../oracle/shape.js';

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
  // 4200² logits are more than one block holds; the mask leaves the oracle a hundred tokens.
  const shape = { B: 1, H: 1, L: 4200, D: 3, E: 1 };
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
