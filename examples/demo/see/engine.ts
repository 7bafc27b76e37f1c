/** A text's attention, by LSH and in full: everything that the view shows comes out of the package's own functions. */
import * as tf from '@tensorflow/tfjs-core';
import { denseAttentionWithLse, lshAttention, lshAttentionWithLse, lshBuckets } from 'tfjs-lsh-attention';
import { D, memoryOf } from '../../speeches/memory.js';
import type { OpenEngine } from '../page/messages.js';
import { SCALE, type SeeAnswer, type SeeQuestion } from './question.js';

export const openSee: OpenEngine<SeeQuestion, SeeAnswer> = () => attend;

/** With the unit matrix as values, the output of an attention is its weights. */
async function attend({ words, options }: SeeQuestion): Promise<SeeAnswer> {
  const L = words.length;
  const R = options.numHashes;
  const { causal } = options;
  const tensors = tf.tidy(() => {
    const qk = tf.tensor2d(memoryOf(Uint32Array.from(words), L, L).qk, [L, D]);
    const unit = tf.eye(L);
    const buckets = lshBuckets(qk, { ...options, scale: SCALE });
    const lsh = lshAttentionWithLse(qk, unit, { ...options, scale: SCALE, buckets });
    const dense = denseAttentionWithLse(qk, unit, { causal, scale: SCALE });
    // Rounds become entries of a batch, each with one round.
    const each = (x: tf.Tensor) => tf.tile(tf.reshape(x, [1, 1, L, -1]), [R, 1, 1, 1]);
    const rounds = lshAttention(each(qk), each(unit), {
      ...{ ...options, scale: SCALE, numHashes: 1 },
      buckets: tf.reshape(buckets, [R, 1, 1, L]),
    });
    return [buckets, rounds, lsh.out, dense.out, tf.exp(tf.sub(lsh.lse, dense.lse))] as const;
  });
  const [buckets, ...floats] = await Promise.all(tensors.map((tensor) => tensor.data()));
  tf.dispose([...tensors]);
  const [rounds, lsh, dense, share] = floats as [Float32Array, Float32Array, Float32Array, Float32Array];
  return { buckets: buckets as Int32Array, rounds, lsh, dense, share };
}
