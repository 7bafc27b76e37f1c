import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { dropoutThreshold } from '../attention/dropout.js';
import { pcg } from '../hashing/random.js';

/** Names the random stream of elements: other uses of a seed draw other numbers. */
const STREAM = 0x656c656d;

/** Dropout of the elements of activations, in a call that trains. */
export interface ElementDropout {
  /** The share that is dropped, in [0, 1). */
  readonly p: number;
  readonly seed: number;
}

/** Where a slice of tokens lies in its sequences. */
export interface TokenSlice {
  /** Its first token. */
  readonly first: number;
  /** L, the tokens of a whole sequence. */
  readonly length: number;
}

/**
 * `x [B, tokens, width]` with elements dropped and the others scaled by 1/(1 − p). Which are dropped depends on the
 * seed and on the element's place in the whole sequences alone, so slices, forward and recomputation agree.
 */
export function dropElements(x: Tensor, { p, seed }: ElementDropout, slice: TokenSlice): Tensor {
  if (p === 0) {
    return x;
  }
  const [B, tokens, width] = x.shape as [number, number, number];
  const threshold = dropoutThreshold(p);
  const kept = 1 / (1 - p);
  const key = pcg(seed ^ STREAM);
  const multipliers = new Float32Array(B * tokens * width);
  let at = 0;
  for (let b = 0; b < B; b++) {
    const start = (b * slice.length + slice.first) * width;
    for (let i = 0; i < tokens * width; i++) {
      multipliers[at++] = pcg((key + pcg(start + i)) | 0) < threshold ? 0 : kept;
    }
  }
  return tf.mul(x, tf.tensor(multipliers, [B, tokens, width]));
}
