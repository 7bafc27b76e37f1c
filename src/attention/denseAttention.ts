import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { keysOf, maskedSoftmax, sawSomething } from './composed.js';
import type { AttentionWithLse } from './lshAttention.js';
import { type DenseAttentionOptions, NOTHING_SEEN } from './options.js';
import { Door } from './validate.js';

/**
 * Logits of one block of queries: 16 MiB, far below every WebGPU device's binding limit, since tfjs keeps
 * the intermediates of some fifteen ops before it submits them and reuses their buffers.
 */
const MOST_LOGITS = 2 ** 22;

/**
 * Exact attention with {@link lshAttention}'s keys, masks and last resort: what it converges to as
 * rounds grow. Time grows with L²; queries go in blocks, so that memory does not.
 *
 * @param qk `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries and keys.
 * @param v the same but for the last axis: values.
 * @returns a tensor of the shape of `v`.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function denseAttention(qk: Tensor, v: Tensor, options: DenseAttentionOptions = {}): Tensor {
  return tf.tidy(() => attend('denseAttention', qk, v, options).out);
}

/** {@link denseAttention} with the log-sum-exp of each query's logits. */
export function denseAttentionWithLse(
  qk: Tensor,
  v: Tensor,
  options: DenseAttentionOptions = {},
): AttentionWithLse {
  return tf.tidy(() => ({ ...attend('denseAttentionWithLse', qk, v, options) }));
}

function attend(name: string, qk: Tensor, v: Tensor, options: DenseAttentionOptions): AttentionWithLse {
  const door = new Door(name);
  const shape = door.shape(qk, v);
  const { causal, scale } = door.denseSettings(shape, options);
  const { B, H, L, D, E } = shape;
  const rows = B * H;
  if (rows * L === 0) {
    return { out: tf.zeros(v.shape), lse: tf.zeros(v.shape.slice(0, -1)) };
  }
  const queries = tf.reshape(qk, [rows, L, D]);
  const keys = keysOf(queries);
  const values = tf.reshape(v, [rows, L, E]);
  const real = realTokens(options.mask, shape);
  const position = tf.range(0, L, 1, 'int32');
  const block = Math.max(1, Math.floor(MOST_LOGITS / (rows * L)));
  const outs: Tensor[] = [];
  const lses: Tensor[] = [];
  for (let first = 0; first < L; first += block) {
    const count = Math.min(block, L - first);
    const [out, lse] = tf.tidy(() => {
      const i = tf.reshape(tf.slice(position, first, count), [1, count, 1]);
      const j = tf.reshape(position, [1, 1, L]);
      const pairs = tf.cast(causal ? tf.less(j, i) : tf.notEqual(j, i), 'float32');
      const admitted = tf.mul(
        tf.mul(pairs, tf.reshape(real, [rows, 1, L])),
        tf.reshape(tf.slice(real, [0, first], [rows, count]), [rows, count, 1]),
      );
      const q = tf.mul(tf.slice(queries, [0, first, 0], [rows, count, D]), scale);
      const attended = maskedSoftmax(tf.matMul(q, keys, false, true), admitted, values);
      return [attended.out, attended.lse] as [Tensor, Tensor];
    });
    outs.push(out);
    lses.push(lse);
  }
  const lse = tf.concat(lses, 1);
  const seen = sawSomething(lse);
  const alone = tf.sub(1, seen);
  return {
    out: tf.reshape(tf.add(tf.mul(tf.concat(outs, 1), seen), tf.mul(values, alone)), v.shape),
    lse: tf.reshape(tf.add(tf.mul(lse, seen), tf.mul(alone, NOTHING_SEEN)), v.shape.slice(0, -1)),
  };
}

/** `[B·H, L]` float32: 1 for a token, 0 for padding. */
function realTokens(mask: Tensor | undefined, { B, H, L }: { B: number; H: number; L: number }): Tensor {
  if (mask === undefined) {
    return tf.ones([B * H, L]);
  }
  const real = tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), 'float32');
  return tf.reshape(tf.tile(tf.reshape(real, [B, 1, L]), [1, H, 1]), [B * H, L]);
}
