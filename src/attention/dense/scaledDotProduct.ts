import type { Tensor } from '@tensorflow/tfjs-core';
import { boundedQueries } from '../composed/softmax.js';
import { AttentionDoor } from '../door.js';
import type { AttentionWithLse } from '../lshAttention.js';
import type { ScaledDotProductOptions } from '../options.js';
import { attendDensely } from './attend.js';

/**
 * Exact attention, softmax(scale · q·kᵀ)·v (Vaswani et al. 2017, arXiv 1706.03762), of queries to keys of
 * their own or of another sequence. On the `webgpu` backend it runs as fused kernels, forward and backward:
 * time grows with L·Lk, memory with L + Lk, since no matrix of logits is made (online softmax; Dao et al.
 * 2022, arXiv 2205.14135). Elsewhere it runs as tf ops in blocks of queries. It is differentiable in `q`, `k`
 * and `v`, once. A query that sees no key returns zeros.
 *
 * @param q `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries. D ≤ 256.
 * @param k `[B, H, Lk, D]`, of as many axes: keys.
 * @param v `[B, H, Lk, E]`, of as many axes: values. E ≤ 256.
 * @returns a tensor `[B, H, L, E]`, of as many axes as `q`.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: ScaledDotProductOptions = {},
): Tensor {
  const door = new AttentionDoor('scaledDotProductAttention');
  return door.tidy(() => attend(door, q, k, v, options).out);
}

/**
 * {@link scaledDotProductAttention} with the log-sum-exp of each query's logits, in nats, `[B, H, L]`, for those who
 * merge attentions: -1e38 for a query that sees no key. Inputs, options and errors are the same.
 */
export function scaledDotProductAttentionWithLse(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: ScaledDotProductOptions = {},
): AttentionWithLse {
  const door = new AttentionDoor('scaledDotProductAttentionWithLse');
  return door.tidy(() => ({ ...attend(door, q, k, v, options) }));
}

function attend(
  door: AttentionDoor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: ScaledDotProductOptions,
): AttentionWithLse {
  const shape = door.shapeAcross(q, k, v);
  const settings = door.dotProductSettings(shape, options);
  const { queries, scale } = boundedQueries(q, settings.scale);
  const inputs = { q: queries, k, v, ...(options.mask && { mask: options.mask }) };
  return attendDensely(inputs, shape, { ...settings, scale }, door);
}
