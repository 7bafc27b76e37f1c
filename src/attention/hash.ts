import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import type { VectorFamily } from '../hashing/family.js';
import { onWebGPU, withFloatBuffers } from '../webgpu/backend.js';
import { composedBuckets, padded } from './composed/hash.js';
import type { HashInputs, Settings, Shape } from './settings.js';
import { bucketsOnWebGPU } from './webgpu.js';

/** The bucket of every token in every round, `[B, H, R, L]`, by the rotations of the settings; N for padding. */
export function rotationBuckets(inputs: HashInputs, shape: Shape, settings: Settings, door: Door): Tensor {
  return onWebGPU()
    ? bucketsOnWebGPU(withFloatBuffers(inputs), shape, settings, door)
    : composedBuckets(inputs, shape, settings);
}

/** The same by a family of hash functions: its tables are the rounds, its codes the buckets. */
export function familyBuckets(
  family: VectorFamily,
  { qk, mask }: HashInputs,
  shape: Shape,
  { R, N }: Settings,
): Tensor {
  return tf.tidy(() => {
    const { B, H, L, D } = shape;
    const codes = family.hashTensor(tf.reshape(qk, [B * H * L, D]));
    const buckets = tf.reshape(roundsLast(codes, R, B * H, L), [B, H, R, L]);
    return mask === undefined ? buckets : padded(buckets, mask, shape, tf.scalar(N, 'int32'));
  });
}

/** `[R, rows·L]` as `[rows, R, L]`. */
function roundsLast(codes: Tensor, R: number, rows: number, L: number): Tensor {
  if (R === 1 || rows === 1) {
    return tf.reshape(codes, [rows, R, L]);
  }
  // tfjs's WebGPU backend cannot transpose integers. Buckets are below 2^20, which float32 holds, and a
  // product is a buffer of floats, where a cast alone would share that of the integers.
  const floats = tf.mul(tf.cast(codes, 'float32'), 1);
  return tf.cast(tf.transpose(tf.reshape(floats, [R, rows, L]), [1, 0, 2]), 'int32');
}
