import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { onWebGPU, valuesAtHand, withFloatBuffers } from '../webgpu/backend.js';
import { composedAttention } from './composed/attention.js';
import { withPadding } from './composed/hash.js';
import { detach } from './detach.js';
import { AttentionDoor } from './door.js';
import { familyBuckets, rotationBuckets } from './hash.js';
import type { LshAttentionOptions } from './options.js';
import type { Settings, Shape } from './settings.js';
import { attentionOnWebGPU } from './webgpu.js';

/** An attention's output and the log-sum-exp of its logits, with which attentions can be merged. */
export interface AttentionWithLse {
  /** The shape of `v`. */
  readonly out: Tensor;
  /** The shape of `v` without its last axis; -1e38 for a query that saw no key but itself. */
  readonly lse: Tensor;
}

/**
 * Reformer-style LSH attention: queries and keys are one tensor, hashed by random rotations, sorted
 * by bucket and cut into chunks; each chunk attends to itself and its neighbours, in several rounds.
 *
 * On the `webgpu` backend it runs as WGSL kernels, elsewhere as tf ops. Time and memory grow with
 * L·R·C, not L². It is differentiable in `qk` and `v`, once. Queries see keys of unit length, `k = q / sqrt(|q|² + D·1e-6)`, and never
 * themselves unless there is nothing else to see (Kitaev et al. 2020, arXiv 2001.04451, section 2).
 *
 * @param qk `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries and keys. D ≤ 256.
 * @param v the same but for the last axis, E ≤ 256: values.
 * @returns a tensor of the shape of `v`.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function lshAttention(qk: Tensor, v: Tensor, options: LshAttentionOptions = {}): Tensor {
  const door = new AttentionDoor('lshAttention');
  return door.tidy(() => attend(door, qk, v, options).out);
}

/**
 * {@link lshAttention} with the log-sum-exp over all keys seen, in nats, for those who merge attentions. Inputs, options and
 * errors are the same.
 */
export function lshAttentionWithLse(
  qk: Tensor,
  v: Tensor,
  options: LshAttentionOptions = {},
): AttentionWithLse {
  const door = new AttentionDoor('lshAttentionWithLse');
  return door.tidy(() => ({ ...attend(door, qk, v, options) }));
}

/**
 * The bucket of every token in every round, as {@link lshAttention} would hash it: `[B, H, R, L]`,
 * int32 in 0 … N, N for padding. Give it back as the option `buckets` to reuse it.
 *
 * @param qk `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries and keys. D ≤ 256.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function lshBuckets(qk: Tensor, options: LshAttentionOptions = {}): Tensor {
  const door = new AttentionDoor('lshBuckets');
  return door.tidy(() => {
    const shape = door.shape(qk, qk);
    const settings = door.settings(shape, options);
    if (options.buckets !== undefined) {
      return tf.clone(options.buckets);
    }
    return isEmpty(shape)
      ? tf.zeros([shape.B, shape.H, settings.R, shape.L], 'int32')
      : hash(door, qk, options, shape, settings);
  });
}

function attend(door: AttentionDoor, qk: Tensor, v: Tensor, options: LshAttentionOptions): AttentionWithLse {
  const shape = door.shape(qk, v);
  const settings = door.settings(shape, options);
  if (isEmpty(shape)) {
    return { out: tf.zeros(v.shape), lse: tf.zeros(v.shape.slice(0, -1)) };
  }
  const buckets =
    options.buckets === undefined
      ? hash(door, qk, options, shape, settings)
      : given(door, options.buckets, options.mask, shape, settings);
  const inputs = { qk, v, buckets };
  const [out, lse] = onWebGPU()
    ? attentionOnWebGPU(withFloatBuffers(inputs), shape, settings, door)
    : composedAttention(inputs, shape, settings);
  return {
    out: tf.reshape(out as Tensor, v.shape),
    lse: tf.reshape(lse as Tensor, v.shape.slice(0, -1)),
  };
}

/** Hashes every token. A bucket does not change with small steps of qk: no gradient passes. */
function hash(
  door: AttentionDoor,
  qk: Tensor,
  { mask, rotations, hash: family }: LshAttentionOptions,
  shape: Shape,
  settings: Settings,
): Tensor {
  const inputs = { qk: detach(qk), ...(mask && { mask }), ...(rotations && { rotations }) };
  return family === undefined
    ? rotationBuckets(inputs, shape, settings, door)
    : familyBuckets(family, inputs, shape, settings);
}

/** Buckets that the caller gave, with the mask marked in them. */
function given(
  door: AttentionDoor,
  buckets: Tensor,
  mask: Tensor | undefined,
  shape: Shape,
  settings: Settings,
): Tensor {
  door.bucketValues(valuesAtHand(buckets), shape, settings);
  const ids = detach(buckets);
  return mask === undefined ? ids : withPadding(ids, mask, shape, settings);
}

function isEmpty({ B, H, L }: Shape): boolean {
  return B * H * L === 0;
}
