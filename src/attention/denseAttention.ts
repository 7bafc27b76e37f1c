import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { attendToAll, blockMultipliers } from './composed/allPairs.js';
import { lastResort } from './composed/softmax.js';
import type { AttentionWithLse } from './lshAttention.js';
import type { DenseAttentionOptions } from './options.js';
import type { Shape } from './settings.js';
import { Door } from './validate.js';

/**
 * Exact attention with {@link lshAttention}'s keys, masks and last resort: what it converges to as
 * rounds grow. Time grows with L²; queries go in blocks, so that memory does not, unless a gradient
 * is asked for. `dropout` drops the pairs that {@link lshAttention} drops in its first round.
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
  const { causal, scale, dropout, seed } = door.denseSettings(shape, options);
  const { B, H, L, D, E } = shape;
  const rows = B * H;
  if (rows * L === 0) {
    return { out: tf.zeros(v.shape), lse: tf.zeros(v.shape.slice(0, -1)) };
  }
  const queries = tf.reshape(qk, [rows, L, D]) as Tensor3D;
  const values = tf.reshape(v, [rows, L, E]) as Tensor3D;
  const real = realTokens(options.mask, shape);
  const position = tf.range(0, L, 1, 'int32');
  const attended = attendToAll(queries, values, scale, (first, count) => {
    const i = tf.reshape(tf.slice(position, first, count), [1, count, 1]);
    const j = tf.reshape(position, [1, 1, L]);
    const pairs = tf.cast(causal ? tf.less(j, i) : tf.notEqual(j, i), 'float32');
    const admitted = tf.mul(
      tf.mul(pairs, tf.reshape(real, [rows, 1, L])),
      tf.reshape(tf.slice(real, [0, first], [rows, count]), [rows, count, 1]),
    );
    return dropout === 0
      ? { admitted }
      : { admitted, kept: blockMultipliers({ p: dropout, seed }, 0, shape, first, count) };
  });
  const { out, lse } = lastResort(attended, values);
  return { out: tf.reshape(out, v.shape), lse: tf.reshape(lse, v.shape.slice(0, -1)) };
}

/** `[B·H, L]` float32: 1 for a token, 0 for padding. */
function realTokens(mask: Tensor | undefined, { B, H, L }: Shape): Tensor {
  if (mask === undefined) {
    return tf.ones([B * H, L]);
  }
  const real = tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), 'float32');
  return tf.reshape(tf.tile(tf.reshape(real, [B, 1, L]), [1, H, 1]), [B * H, L]);
}
