import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** `x [..., in]` times a matrix `[out, in]`, as PyTorch keeps them, plus a bias `[out]`: `[..., out]`. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [out, width] = weight.shape as [number, number];
  // In two dimensions: the gradient of a product of ranks 3 and 2 throws.
  const product = tf.matMul(tf.reshape(x, [-1, width]) as Tensor2D, weight as Tensor2D, false, true);
  const shifted = bias === undefined ? product : tf.add(product, bias);
  return tf.reshape(shifted, [...x.shape.slice(0, -1), out]);
}

/** A layer norm's scale and shift. */
export interface Norm {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The last axis of `x` at mean 0 and variance 1, scaled and shifted (Ba et al. 2016, arXiv 1607.06450). */
export function layerNorm(x: Tensor, { weight, bias }: Norm, epsilon: number): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  // The root and not its inverse: WebGPU's is less exact.
  const unit = tf.div(centred, tf.sqrt(tf.add(variance, epsilon)));
  return tf.add(tf.mul(unit, weight), bias);
}
