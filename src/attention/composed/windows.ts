/** Windows of neighbouring chunks, from tf ops that have gradients everywhere. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** `n` chunks of `C` slots, each of which sees `P` before it and `A` after. */
export interface Windows {
  readonly n: number;
  readonly C: number;
  readonly P: number;
  readonly A: number;
}

/** What each chunk sees of `x [rows, slots, width]`, zeros beyond its ends: `[rows·n, W, width]`, W = (1+P+A)·C. */
export function windows(x: Tensor, { n, C, P, A }: Windows): Tensor {
  const slots = x.shape[1] as number;
  const padded = tf.pad(x, [
    [0, 0],
    [P * C, (n + A) * C - slots],
    [0, 0],
  ]);
  return slide(padded, { n, C, P, A });
}

/** Windows of P + n + A chunks, one for each of the n in the middle. */
function slide(x: Tensor, { n, C, P, A }: Windows): Tensor {
  const [rows, , width] = x.shape as [number, number, number];
  const chunks = tf.reshape(x, [rows, P + n + A, C, width]);
  const steps = Array.from({ length: 1 + P + A }, (_, step) =>
    tf.slice(chunks, [0, step, 0, 0], [rows, n, C, width]),
  );
  const seen = steps.length === 1 ? (steps[0] as Tensor) : tf.concat(steps, 2);
  return tf.reshape(seen, [rows * n, (1 + P + A) * C, width]);
}
