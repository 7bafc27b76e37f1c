/** The hash from tf ops, for every backend without our kernels. */
import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { hadamardMatrix, hadamardShape, hadamardSigns, TRANSFORMS } from '../../hashing/hadamard.js';
import { gaussianRotations } from '../../hashing/rotations.js';
import type { HashInputs, Settings, Shape } from '../settings.js';
import { onesOf } from './softmax.js';

/** Bucket ids `[B, H, R, L]`, int32. */
export function composedBuckets(
  { qk, mask, rotations }: HashInputs,
  shape: Shape,
  settings: Settings,
): Tensor {
  return tf.tidy(() => {
    const { B, H, L, D } = shape;
    const { R, factors } = settings;
    const byHead = tf.transpose(tf.reshape(qk, [B, H, L, D]), [1, 0, 2, 3]);
    const vectors = tf.reshape(byHead, [H, B * L, D]) as Tensor3D;
    const roundOf = settings.hadamard
      ? hadamardRounds(vectors, settings)
      : gaussianRounds(vectors, rotations, settings);
    const rounds = Array.from({ length: R }, (_, r) => {
      const rotated = roundOf(r);
      let bucket: Tensor = tf.zeros([H, B * L], 'int32');
      let column = 0;
      let stride = 1;
      for (const f of factors) {
        const y = tf.slice(rotated, [0, 0, column], [H, B * L, f / 2]);
        const index = tf.argMax(tf.concat([y, tf.neg(y)], 2), 2);
        bucket = tf.add(bucket, tf.mul(index, tf.scalar(stride, 'int32')));
        column += f / 2;
        stride *= f;
      }
      // tfjs's WebGPU backend cannot transpose integers, and one entry of a batch needs no transposing.
      return B === 1 ? tf.reshape(bucket, [B, H, L]) : tf.transpose(tf.reshape(bucket, [H, B, L]), [1, 0, 2]);
    });
    const hashed = tf.cast(tf.stack(rounds, 2), 'int32');
    const { flipped } = settings;
    const buckets = flipped ? tf.sub(tf.scalar(flipped | 0, 'int32'), hashed) : hashed;
    return mask === undefined ? buckets : padded(buckets, mask, shape, tf.scalar(settings.N, 'int32'));
  });
}

type RoundOf = (r: number) => Tensor3D;

/** The columns of a round, `[H, tokens, F]`, of vectors `[H, tokens, D]` turned by matrices. */
function gaussianRounds(
  vectors: Tensor3D,
  given: Tensor | undefined,
  { R, F, seed, rotationHeads }: Settings,
): RoundOf {
  const [H, tokens, D] = vectors.shape;
  const matrix = given ?? tf.tensor(gaussianRotations({ H, D, R, F }, seed), [H, D, R, F]);
  const rotated = tf.matMul(vectors, tf.reshape(matrix, [rotationHeads, D, R * F])) as Tensor3D;
  return (r) => tf.slice(rotated, [0, 0, r * F], [H, tokens, F]);
}

/** The same by signs and Hadamard transforms, `[H, tokens, K·Dp]`, of which the first F columns count. */
function hadamardRounds(vectors: Tensor3D, { R, F, seed }: Settings): RoundOf {
  const [H, tokens, D] = vectors.shape;
  const { Dp, K } = hadamardShape({ D, F });
  const signs = tf.tensor(hadamardSigns({ H, D, R, F }, seed), [H, R, K, TRANSFORMS, Dp]);
  const matrix = tf.tensor2d(hadamardMatrix(Dp), [Dp, Dp]);
  return (r) =>
    tf.tidy(() => {
      // The rows of the matrix that padding with zeros would meet are left out instead.
      let y: Tensor = tf.reshape(vectors, [H, 1, tokens, D]);
      for (let s = 0; s < TRANSFORMS; s++) {
        const depth = s === 0 ? D : Dp;
        const diagonal = tf.slice(signs, [0, r, 0, s, 0], [H, 1, K, 1, depth]);
        const flipped = tf.mul(y, tf.reshape(diagonal, [H, K, 1, depth]));
        const rows = tf.slice(matrix, [0, 0], [depth, Dp]);
        y = tf.reshape(tf.matMul(tf.reshape(flipped, [H * K * tokens, depth]), rows), [H, K, tokens, Dp]);
      }
      return tf.reshape(tf.transpose(y, [0, 2, 1, 3]), [H, tokens, K * Dp]);
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
export function padded(buckets: Tensor, mask: Tensor, { B, L }: Shape, padding: Tensor): Tensor {
  const real = tf.reshape(onesOf(mask, 'int32'), [B, 1, 1, L]);
  const unreal = tf.sub(tf.scalar(1, 'int32'), real);
  return tf.add(tf.mul(buckets, real), tf.mul(padding, unreal));
}
