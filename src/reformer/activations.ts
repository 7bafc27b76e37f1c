import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** What a feed-forward layer applies between its two products. */
export type Activation = (x: Tensor) => Tensor;

/** x·Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
const gelu: Activation = (x) => tf.mul(x, tf.mul(0.5, tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2)))));
/** Its approximation by a hyperbolic tangent, from the same paper. */
const geluByTanh: Activation = (x) => {
  const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.mul(x, tf.add(1, tf.mul(0.044715, tf.square(x)))));
  return tf.mul(x, tf.mul(0.5, tf.add(1, tf.tanh(inner))));
};
const silu: Activation = (x) => tf.mul(x, tf.sigmoid(x));

/** Activations by the names that transformers gives them in `hidden_act`. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: (x) => tf.relu(x),
  gelu,
  gelu_python: gelu,
  gelu_new: geluByTanh,
  gelu_fast: geluByTanh,
  gelu_pytorch_tanh: geluByTanh,
  silu,
  swish: silu,
  tanh: (x) => tf.tanh(x),
  sigmoid: (x) => tf.sigmoid(x),
};
