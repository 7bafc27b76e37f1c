/** Who races: ways to compute attention of the same queries and values. */
import * as tf from '@tensorflow/tfjs-core';
import { denseAttention, lshAttention } from 'tfjs-lsh-attention';
import { type Contestant, DEPTH, type RaceSettings } from './settings.js';

/** Attention of `qk` and `v`, both `[1, H, L, D]`. */
export function attendAs(who: Contestant, qk: tf.Tensor, v: tf.Tensor, { rounds }: RaceSettings): tf.Tensor {
  switch (who) {
    case 'LSH':
      return lshAttention(qk, v, { numHashes: rounds, scale: '1/sqrt(D)' });
    case 'dense, one kernel':
      return denseAttention(qk, v, { scale: '1/sqrt(D)' });
    case 'dense, tfjs ops':
      return tf.tidy(() => {
        const logits = tf.mul(tf.matMul(qk, qk, false, true), 1 / Math.sqrt(DEPTH));
        return tf.matMul(tf.softmax(logits), v);
      });
  }
}

/** How much longer a call takes when the length doubles, with some reserve. */
export function growthOf(who: Contestant): number {
  return who === 'LSH' ? 2.2 : 4.2;
}

/** The bytes of the largest tensor of a call. */
export function largestTensor(who: Contestant, length: number, { heads }: RaceSettings): number {
  return 4 * heads * length * (who === 'dense, tfjs ops' ? length : DEPTH);
}
