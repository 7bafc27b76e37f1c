/**
 * LSH attention from tf ops, for every backend without our kernels. The same steps as the kernels:
 * hash, sort, attend round by round, merge by log-sum-exp.
 */

import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { gaussianRotations } from '../hashing/rotations.js';
import { NOTHING_SEEN } from './options.js';
import { flat, type Pairs, pairsOf, type SortedRound, sortRound } from './pairs.js';
import type { Inputs, Settings, Shape } from './settings.js';

/** Bucket ids `[B, H, R, L]`, int32. */
export function composedBuckets({ qk, mask, rotations }: Inputs, shape: Shape, settings: Settings): Tensor {
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
    return mask === undefined ? buckets : withPadding(buckets, mask, shape, settings);
  });
}

/** Bucket ids with N where the mask is false. */
export function withPadding(buckets: Tensor, mask: Tensor, { B, L }: Shape, { N }: Settings): Tensor {
  return tf.tidy(() => {
    const real = tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), 'int32');
    const real4 = tf.reshape(real, [B, 1, 1, L]);
    const padding = tf.mul(tf.sub(tf.scalar(1, 'int32'), real4), tf.scalar(N, 'int32'));
    return tf.add(tf.mul(buckets, real4), padding);
  });
}

/** Bucket ids with N, padding, in place of what is out of range, as the kernels take it. */
function inRange(buckets: Tensor, N: number): Tensor {
  const inside = tf.logicalAnd(
    tf.greaterEqual(buckets, tf.scalar(0, 'int32')),
    tf.lessEqual(buckets, tf.scalar(N, 'int32')),
  );
  return tf.where(inside, buckets, tf.fill(buckets.shape, N, 'int32'));
}

/** Keys of unit length, nearly: q / sqrt(|q|² + D·1e-6). */
export function keysOf(q: Tensor): Tensor {
  const depth = q.shape[q.rank - 1] as number;
  return tf.div(q, tf.sqrt(tf.add(tf.sum(tf.square(q), -1, true), depth * 1e-6)));
}

/** `[out, lse]` of shapes `[B, H, L, E]` and `[B, H, L]`. */
export function composedAttention(inputs: Inputs, shape: Shape, settings: Settings): Tensor[] {
  const { B, H, L, D, E } = shape;
  const { R, N } = settings;
  const rows = B * H;
  return tf.tidy(() => {
    const byRound = (x: Tensor) => tf.reshape(inRange(x, N), [rows, R, L]) as Tensor3D;
    const buckets = byRound(inputs.buckets ?? composedBuckets(inputs, shape, settings));
    const sortKeys = inputs.keys === undefined ? buckets : byRound(inputs.keys);
    const queries = tf.reshape(inputs.qk, [rows * L, D]) as Tensor2D;
    const keys = keysOf(queries) as Tensor2D;
    const values = tf.reshape(inputs.v as Tensor, [rows * L, E]) as Tensor2D;
    const sorted = Array.from({ length: R }, (_, r) => sortRound(sortKeys, buckets, r, shape, settings));
    const order = tf.concat(
      sorted.map((round) => round.order),
      1,
    ) as Tensor2D;

    let out: Tensor = tf.zeros([rows * L, E]);
    let lse: Tensor = tf.fill([rows * L, 1], NOTHING_SEEN);
    for (let r = 0; r < R; r++) {
      const pairs = pairsOf(r, order, sorted, shape, settings);
      const [sortedOut, sortedLse] = attendRound(pairs, queries, keys, values, shape, settings);
      // Back from slots to positions, then one step of the online softmax.
      const back = flat((sorted[r] as SortedRound).slotOf, (sortedOut.shape[0] as number) / rows);
      const roundOut = tf.gather(sortedOut, back);
      const roundLse = tf.gather(sortedLse, back);
      const most = tf.maximum(lse, roundLse);
      const before = tf.exp(tf.sub(lse, most));
      const now = tf.exp(tf.sub(roundLse, most));
      const sum = tf.add(before, now);
      out = tf.div(tf.add(tf.mul(out, before), tf.mul(roundOut, now)), sum);
      lse = tf.add(most, tf.log(sum));
    }
    const seen = sawSomething(lse);
    const alone = tf.sub(1, seen);
    return [
      tf.reshape(tf.add(tf.mul(out, seen), tf.mul(values, alone)), [B, H, L, E]),
      tf.reshape(tf.add(tf.mul(lse, seen), tf.mul(alone, NOTHING_SEEN)), [B, H, L]),
    ];
  });
}

/** 1 where a log-sum-exp is of at least one key, else 0. */
export function sawSomething(lse: Tensor): Tensor {
  return tf.cast(tf.greater(lse, NOTHING_SEEN / 10), 'float32');
}

/** Output and log-sum-exp by slot, `[rows·n·C, E]` and `[rows·n·C, 1]`. */
function attendRound(
  { n, W, queryRows, keyRows, admitted }: Pairs,
  queries: Tensor2D,
  keys: Tensor2D,
  values: Tensor2D,
  { B, H, D, E }: Shape,
  { C, scale }: Settings,
): [Tensor, Tensor] {
  const blocks = B * H * n;
  const q = tf.reshape(tf.gather(queries, queryRows), [blocks, C, D]);
  const k = tf.reshape(tf.gather(keys, keyRows), [blocks, W, D]);
  const v = tf.reshape(tf.gather(values, keyRows), [blocks, W, E]);
  const { out, lse } = maskedSoftmax(tf.mul(tf.matMul(q, k, false, true), scale), admitted, v);
  return [tf.reshape(out, [blocks * C, E]), tf.reshape(lse, [blocks * C, 1])];
}

/**
 * Softmax over the last axis of `logits [blocks, queries, keys]`, of admitted pairs alone, times
 * `v [blocks, keys, E]`. A row without any gives zeros and the log-sum-exp {@link NOTHING_SEEN}.
 */
export function maskedSoftmax(logits: Tensor, admitted: Tensor, v: Tensor): { out: Tensor; lse: Tensor } {
  const masked = tf.add(tf.mul(logits, admitted), tf.mul(tf.sub(1, admitted), NOTHING_SEEN));
  // Asked of the pairs, not of the largest logit: WebGL's max returns no less than -1e20.
  const seen = tf.max(admitted, 2, true);
  const alone = tf.sub(1, seen);
  const most = tf.max(masked, 2, true);
  const weights = tf.mul(tf.exp(tf.sub(masked, most)), admitted);
  const sum = tf.add(tf.sum(weights, 2, true), alone);
  return {
    out: tf.div(tf.matMul(weights, v), sum),
    lse: tf.add(tf.mul(seen, tf.add(most, tf.log(sum))), tf.mul(alone, NOTHING_SEEN)),
  };
}
