/** Windows of neighbouring chunks, from tf ops that have gradients everywhere. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** `n` chunks of `C` slots, each of which sees `P` before it and `A` after. */
export interface Windows {
  readonly n: number;
  readonly C: number;
  readonly P: number;
  readonly A: number;
  /** Whether the first chunk and the last are neighbours; the slots are whole chunks then, P and A at most n. */
  readonly wrap?: boolean;
}

/**
 * What each chunk sees of `x [rows, slots, width]`: `[rows·n, W, width]`, W = (1+P+A)·C. Beyond the ends there are
 * zeros, or, where windows wrap, the other end.
 */
export function windows(x: Tensor, { n, C, P, A, wrap = false }: Windows): Tensor {
  const [rows, slots, width] = x.shape as [number, number, number];
  if (wrap) {
    const part = (first: number, chunks: number) => tf.slice(x, [0, first * C, 0], [rows, chunks * C, width]);
    const ends = [...(P > 0 ? [part(n - P, P)] : []), x, ...(A > 0 ? [part(0, A)] : [])];
    return slide(ends.length === 1 ? x : tf.concat(ends, 1), { n, C, P, A });
  }
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
