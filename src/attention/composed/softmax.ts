/** What all attentions from tf ops end with. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { detach } from '../detach.js';
import { NOTHING_SEEN } from '../options.js';

/** An output `[rows, L, E]` and its log-sum-exp `[rows, L, 1]`. */
export interface Attended {
  readonly out: Tensor;
  readonly lse: Tensor;
}

/** Keys of unit length, nearly: q / sqrt(|q|² + D·1e-6). */
export function keysOf(q: Tensor): Tensor {
  const depth = q.shape[q.rank - 1] as number;
  const lengthOf = (x: Tensor) => tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), depth * 1e-6));
  // The tape's gradient of a division is a product first, for which there may be no float.
  const normalised = tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([x as Tensor]);
    return {
      value: tf.div(x as Tensor, lengthOf(x as Tensor)),
      gradFunc: (dy: Tensor, [saved]: Tensor[]) => {
        const length = lengthOf(saved as Tensor);
        const k = tf.div(saved as Tensor, length);
        return tf.div(tf.sub(dy, tf.mul(k, tf.sum(tf.mul(k, dy), -1, true))), length);
      },
    };
  });
  return normalised(q);
}

/** The largest number that products are kept finite for. */
const LARGEST = 1e18;

/**
 * Queries scaled as far as logits, in log2, stay above {@link NOTHING_SEEN} with any keys, and what is left of the scale.
 */
export function boundedQueries(queries: Tensor, scale: number): { queries: Tensor; scale: number } {
  const most = 6e37 / LARGEST / (queries.shape.at(-1) as number);
  return scale * LARGEST <= most
    ? { queries, scale }
    : { queries: tf.clipByValue(tf.mul(queries, scale), -most, most), scale: 1 };
}

/** The query's own value where it has seen nothing. */
export function lastResort({ out, lse }: Attended, values: Tensor): Attended {
  const seen = tf.cast(tf.greater(detach(lse), NOTHING_SEEN / 10), 'float32');
  return { out: either(seen, out, values), lse: either(seen, lse, NOTHING_SEEN) };
}

/** One thing where `seen` is 1, another where it is 0. */
export function either(seen: Tensor, one: Tensor, other: Tensor | number): Tensor {
  return tf.add(tf.mul(one, seen), tf.mul(tf.sub(1, seen), other));
}

/**
 * Softmax over the last axis of `logits [blocks, queries, keys]`, of admitted pairs alone, times
 * `v [blocks, keys, E]`. A row without any gives zeros and the log-sum-exp {@link NOTHING_SEEN}.
 *
 * @param kept the multipliers of dropout, of the shape of the logits.
 */
export function maskedSoftmax(logits: Tensor, admitted: Tensor, v: Tensor, kept?: Tensor): Attended {
  const masked = either(admitted, logits, NOTHING_SEEN);
  // Asked of the pairs, not of the largest logit: WebGL's max returns no less than -1e20.
  const seen = tf.max(admitted, 2, true);
  // A shift changes nothing, so it has no gradient.
  const most = detach(tf.max(masked, 2, true));
  const weights = tf.mul(tf.exp(tf.sub(masked, most)), admitted);
  const sum = tf.add(tf.sum(weights, 2, true), tf.sub(1, seen));
  return {
    out: tf.div(tf.matMul(kept === undefined ? weights : tf.mul(weights, kept), v), sum),
    lse: either(seen, tf.add(most, tf.log(sum)), NOTHING_SEEN),
  };
}

/** A mask as numbers: 1 where it is true, else 0. */
export function onesOf(mask: Tensor, dtype: 'float32' | 'int32' = 'float32'): Tensor {
  return tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), dtype);
}

/** Numbers that a block of queries may take: 16 MiB, far below every WebGPU device's binding limit. */
const MOST_NUMBERS = 2 ** 22;

/**
 * The attention of `queries` queries, a block of them after the other, where each takes `numbers` at a time; tfjs keeps
 * the intermediates of some fifteen ops before it submits them.
 */
export function inBlocks(
  queries: number,
  numbers: number,
  attend: (first: number, count: number) => Attended,
): Attended {
  const block = Math.max(1, Math.floor(MOST_NUMBERS / numbers));
  const parts: Attended[] = [];
  for (let first = 0; first < queries; first += block) {
    parts.push(tf.tidy(() => ({ ...attend(first, Math.min(block, queries - first)) })));
  }
  const all = (name: keyof Attended) =>
    parts.length === 1
      ? (parts[0] as Attended)[name]
      : tf.concat(
          parts.map((part) => part[name]),
          1,
        );
  return { out: all('out'), lse: all('lse') };
}

/** Attentions of the same queries to different keys, as one: a step of the online softmax. */
export function merge(before: Attended, now: Attended): Attended {
  const most = detach(tf.maximum(before.lse, now.lse));
  const weightBefore = tf.exp(tf.sub(before.lse, most));
  const weightNow = tf.exp(tf.sub(now.lse, most));
  const sum = tf.add(weightBefore, weightNow);
  return {
    out: tf.div(tf.add(tf.mul(before.out, weightBefore), tf.mul(now.out, weightNow)), sum),
    lse: tf.add(most, tf.log(sum)),
  };
}
