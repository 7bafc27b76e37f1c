/** The hash from tf ops, for every backend without our kernels. */
import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { gaussianRotations } from '../hashing/rotations.js';
import type { HashInputs, Settings, Shape } from './settings.js';

/** Bucket ids `[B, H, R, L]`, int32. */
export function composedBuckets(
  { qk, mask, rotations }: HashInputs,
  shape: Shape,
  settings: Settings,
): Tensor {
  return tf.tidy(() => {
    const { B, H, L, D } = shape;
    const { R, F, factors, rotationHeads } = settings;
    const matrix = rotations ?? tf.tensor(gaussianRotations({ H, D, R, F }, settings.seed), [H, D, R, F]);
    const byHead = tf.reshape(tf.transpose(tf.reshape(qk, [B, H, L, D]), [1, 0, 2, 3]), [H, B * L, D]);
    const rotated = tf.matMul(byHead, tf.reshape(matrix, [rotationHeads, D, R * F])) as Tensor3D;
    const rounds = Array.from({ length: R }, (_, r) => {
      let bucket: Tensor = tf.zeros([H, B * L], 'int32');
      let column = r * F;
      let stride = 1;
      for (const f of factors) {
        const y = tf.slice(rotated, [0, 0, column], [H, B * L, f / 2]);
        const index = tf.argMax(tf.concat([y, tf.neg(y)], 2), 2);
        bucket = tf.add(bucket, tf.mul(index, tf.scalar(stride, 'int32')));
        column += f / 2;
        stride *= f;
      }
      return tf.transpose(tf.reshape(bucket, [H, B, L]), [1, 0, 2]);
    });
    const buckets = tf.cast(tf.stack(rounds, 2), 'int32');
    return mask === undefined ? buckets : padded(buckets, mask, shape, tf.scalar(settings.N, 'int32'));
  });
}

/**
 * Given bucket ids with the mask marked in them: padding that stands among the tokens of bucket b, and is
 * sorted with them, is −1−b. A bucket window has no use for its place: there it is N.
 */
export function withPadding(buckets: Tensor, mask: Tensor, shape: Shape, settings: Settings): Tensor {
  return tf.tidy(() => {
    const padding = settings.bucketWindow
      ? tf.scalar(settings.N, 'int32')
      : tf.sub(tf.scalar(-1, 'int32'), buckets);
    return padded(buckets, mask, shape, padding);
  });
}

/** Bucket ids with `padding` where the mask is false. */
function padded(buckets: Tensor, mask: Tensor, { B, L }: Shape, padding: Tensor): Tensor {
  const real = tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), 'int32');
  const real4 = tf.reshape(real, [B, 1, 1, L]);
  const unreal = tf.sub(tf.scalar(1, 'int32'), real4);
  return tf.add(tf.mul(buckets, real4), tf.mul(padding, unreal));
}
