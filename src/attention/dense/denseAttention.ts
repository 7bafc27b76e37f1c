import type { Tensor } from '@tensorflow/tfjs-core';
import { keysOf } from '../composed/softmax.js';
import { AttentionDoor } from '../door.js';
import type { AttentionWithLse } from '../lshAttention.js';
import type { DenseAttentionOptions } from '../options.js';
import { attendDensely } from './attend.js';

/**
 * Exact attention with {@link lshAttention}'s keys, masks and last resort: what it converges to as
 * rounds grow. Time grows with L², memory with L: on the `webgpu` backend by fused kernels (a matrix of
 * logits is never made), elsewhere by tf ops in blocks of queries, where a gradient keeps all blocks.
 * It is differentiable in `qk` and `v`, once. `dropout` drops the pairs that {@link lshAttention} drops in
 * its first round.
 *
 * @param qk `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries and keys. D ≤ 256.
 * @param v the same but for the last axis, E ≤ 256: values.
 * @returns a tensor of the shape of `v`.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function denseAttention(qk: Tensor, v: Tensor, options: DenseAttentionOptions = {}): Tensor {
  const door = new AttentionDoor('denseAttention');
  return door.tidy(() => attend(door, qk, v, options).out);
}

/** {@link denseAttention} with the log-sum-exp of each query's logits, in nats. Inputs, options and errors are the same. */
export function denseAttentionWithLse(
  qk: Tensor,
  v: Tensor,
  options: DenseAttentionOptions = {},
): AttentionWithLse {
  const door = new AttentionDoor('denseAttentionWithLse');
  return door.tidy(() => ({ ...attend(door, qk, v, options) }));
}

function attend(
  door: AttentionDoor,
  qk: Tensor,
  v: Tensor,
  options: DenseAttentionOptions,
): AttentionWithLse {
  const shape = door.shape(qk, v);
  const settings = door.denseSettings(shape, options);
  const inputs = { q: qk, k: keysOf(qk), v, ...(options.mask && { mask: options.mask }) };
  return attendDensely(inputs, { ...shape, Lk: shape.L }, settings, door);
}
