/** Attention from tf ops that computes every pair: what dense attention and the bucket window are made of. */
import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type Dropout, dropoutWeights } from '../dropout.js';
import type { Settings, Shape } from '../settings.js';
import { type Attended, inBlocks, keysOf, maskedSoftmax } from './softmax.js';

/** Which keys the queries from `first` on see, `[rows, count, Lk]` or axes of 1, and what becomes of their weights. */
export interface PairsOfBlock {
  readonly admitted: Tensor;
  /** Added to the logits. */
  readonly bias?: Tensor;
  readonly kept?: Tensor;
}

/** Attention over all keys, in blocks of queries. */
export function attendToAll(
  queries: Tensor3D,
  keys: Tensor3D,
  values: Tensor3D,
  scale: number,
  pairsOfBlock: (first: number, count: number) => PairsOfBlock,
): Attended {
  const [rows, L, D] = queries.shape;
  return inBlocks(L, rows * keys.shape[1], (first, count) => {
    const q = tf.mul(tf.slice(queries, [0, first, 0], [rows, count, D]), scale);
    const { admitted, bias, kept } = pairsOfBlock(first, count);
    const logits = tf.matMul(q, keys, false, true);
    return maskedSoftmax(bias === undefined ? logits : tf.add(logits, bias), admitted, values, kept);
  });
}

/** What dropout multiplies the weights of a block of queries by in round `r`, `[B·H, count, keys]`. */
export function blockMultipliers(
  dropout: Dropout,
  r: number,
  { B, H }: Pick<Shape, 'B' | 'H'>,
  first: number,
  count: number,
  keys: number,
): Tensor {
  const weights = dropoutWeights({ B, H }, dropout, r, {
    blocks: 1,
    queries: Int32Array.from({ length: count }, (_, i) => first + i),
    keys: Int32Array.from({ length: keys }, (_, j) => j),
    queriesPerBlock: count,
    keysPerBlock: keys,
  });
  return tf.tensor(weights, [B * H, count, keys]);
}

/**
 * Every token sees its buckets whole. Buckets have any length, tensors one shape: so all pairs are
 * computed, and those in no common bucket excluded. It costs as much as dense attention.
 */
export function attendInBuckets(
  queries: Tensor3D,
  values: Tensor3D,
  buckets: Tensor3D,
  { B, H, L }: Shape,
  { R, N, causal, correct, dropout, seed, scale }: Settings,
): Attended {
  const rows = B * H;
  const position = tf.range(0, L, 1, 'int32');
  return attendToAll(queries, keysOf(queries) as Tensor3D, values, scale, (first, count) => {
    const i = tf.reshape(tf.slice(position, first, count), [1, count, 1]);
    const j = tf.reshape(position, [1, 1, L]);
    const visible = tf.cast(causal ? tf.less(j, i) : tf.notEqual(j, i), 'float32');
    let seen: Tensor = tf.zeros([rows, count, L]); // in how many rounds; with 'correct', whether
    let weight: Tensor = tf.zeros([rows, count, L]); // the sum of dropout's multipliers
    for (let r = 0; r < R; r++) {
      const ofRound = tf.slice(buckets, [0, r, 0], [rows, 1, L]);
      const ofQueries = tf.reshape(tf.slice(ofRound, [0, 0, first], [rows, 1, count]), [rows, count, 1]);
      const real = tf.logicalAnd(
        tf.greaterEqual(ofRound, tf.scalar(0, 'int32')),
        tf.less(ofRound, tf.scalar(N, 'int32')),
      );
      const shared = tf.cast(tf.logicalAnd(tf.equal(ofRound, ofQueries), real), 'float32');
      const now = tf.mul(correct ? tf.mul(shared, tf.sub(1, seen)) : shared, visible);
      seen = tf.add(seen, now);
      if (dropout > 0) {
        const multipliers = blockMultipliers({ p: dropout, seed }, r, { B, H }, first, count, L);
        weight = tf.add(weight, tf.mul(now, multipliers));
      }
    }
    const rounds = tf.maximum(seen, 1);
    return {
      admitted: tf.minimum(seen, 1),
      ...(correct ? {} : { bias: tf.log(rounds) }),
      ...(dropout > 0 ? { kept: tf.div(weight, rounds) } : {}),
    };
  });
}
