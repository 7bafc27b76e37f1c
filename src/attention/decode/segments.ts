import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type Attended, inBlocks, keysOf, lastResort, maskedSoftmax, merge } from '../composed/softmax.js';
import type { CacheState, NewTokens } from './state.js';

/** Consecutive tokens. */
interface Segment {
  readonly n: number;
  /** `[B, H, n, D]`, of unit length. */
  readonly keys: Tensor;
  /** `[B, H, n, E]` */
  readonly v: Tensor;
  /** `[B, H, R, n]` */
  readonly buckets: Tensor;
}

const tensorsOf = ({ keys, v, buckets }: Segment) => [keys, v, buckets];

/**
 * A cache from tf ops, which cannot write in place: segments, each at most half as long as the one
 * before. A segment that is not is merged, so a token is copied once for each time that the length
 * doubles, not at every step. Each query is compared with the buckets of all tokens.
 */
export class SegmentedState implements CacheState {
  private segments: readonly Segment[] = [];

  append(tokens: NewTokens, attends: boolean): Tensor[] {
    const outputs = attends ? attendTo(this.segments, tokens) : [];
    const { shape, qk, v, buckets } = tokens;
    const fresh = tf.tidy(() => ({ keys: keysOf(qk), v: tf.clone(v), buckets: tf.clone(buckets) }));
    let n = shape.L;
    let first = this.segments.length;
    while (first > 0 && (this.segments[first - 1] as Segment).n < 2 * n) {
      first--;
      n += (this.segments[first] as Segment).n;
    }
    const last = [...this.segments.slice(first), { n: shape.L, ...fresh }];
    const join = (name: 'keys' | 'v' | 'buckets', axis: number) =>
      tf.concat(
        last.map((segment) => segment[name]),
        axis,
      );
    const joined = tf.tidy(() => ({ keys: join('keys', 2), v: join('v', 2), buckets: join('buckets', 3) }));
    this.replace(first, [{ n, ...joined }]);
    tf.dispose({ ...fresh });
    return outputs;
  }

  reorder(indices: Tensor1D): void {
    const reordered = this.segments.map(({ n, ...tensors }) => {
      const B = tensors.keys.shape[0] as number;
      // Indices that no one could check: the nearest entry stands in.
      const picked = (x: Tensor) =>
        tf.tidy(() =>
          tf.gather(x, tf.minimum(tf.maximum(indices, tf.scalar(0, 'int32')), tf.scalar(B - 1, 'int32'))),
        );
      return { n, keys: picked(tensors.keys), v: picked(tensors.v), buckets: picked(tensors.buckets) };
    });
    this.replace(0, reordered);
  }

  dispose(): void {
    this.replace(0, []);
  }

  /** Segments from `first` on give way to others. */
  private replace(first: number, others: readonly Segment[]): void {
    const gone = this.segments.slice(first);
    for (const tensor of others.flatMap(tensorsOf)) {
      tf.keep(tensor);
    }
    this.segments = [...this.segments.slice(0, first), ...others];
    tf.dispose(gone.map(tensorsOf));
  }
}

/** `[out, lse]` of new tokens: over the segments, and over one another, the earlier ones. */
function attendTo(segments: readonly Segment[], tokens: NewTokens): Tensor[] {
  const { shape, qk, v, buckets } = tokens;
  const { B, H, L: T, D, E } = shape;
  const { R } = tokens.settings;
  return tf.tidy(() => {
    const own: Segment = { n: T, keys: keysOf(qk), v, buckets };
    const all = [...segments, own];
    const longest = Math.max(...all.map(({ n }) => n));
    // A query is compared with the buckets of a segment.
    const attended = inBlocks(T, B * H * R * longest, (first, count) => {
      const queries = {
        first,
        q: tf.slice(qk, [0, 0, first, 0], [B, H, count, D]),
        buckets: tf.slice(buckets, [0, 0, 0, first], [B, H, R, count]),
      };
      return all.map((segment) => attendSegment(queries, segment, segment === own, tokens)).reduce(merge);
    });
    const { out, lse } = lastResort(attended, tf.reshape(v, [B * H, T, E]));
    return [tf.reshape(out, [B, H, T, E]), tf.reshape(lse, [B, H, T])];
  });
}

interface Queries {
  /** The first of them among the new tokens. */
  readonly first: number;
  /** `[B, H, count, D]` */
  readonly q: Tensor;
  /** `[B, H, R, count]` */
  readonly buckets: Tensor;
}

/** Attention of queries to the tokens of a segment that share a bucket with them: `[BH, count, E]` and `[BH, count, 1]`. */
function attendSegment(
  queries: Queries,
  { n, keys, v, buckets }: Segment,
  isOwn: boolean,
  { shape: { B, H, D, E }, settings: { R, N, correct, scale } }: NewTokens,
): Attended {
  const count = queries.q.shape[2] as number;
  const rows = B * H;
  const theirs = tf.reshape(buckets, [rows, R, 1, n]);
  const ours = tf.reshape(queries.buckets, [rows, R, count, 1]);
  const real = tf.notEqual(tf.slice(theirs, [0, 0, 0, 0], [rows, 1, 1, n]), tf.scalar(N, 'int32'));
  let times = tf.mul(
    tf.sum(tf.cast(tf.equal(ours, theirs), 'float32'), 1),
    tf.cast(tf.reshape(real, [rows, 1, n]), 'float32'),
  );
  if (isOwn) {
    const i = tf.reshape(tf.range(queries.first, queries.first + count, 1, 'int32'), [1, count, 1]);
    const j = tf.reshape(tf.range(0, n, 1, 'int32'), [1, 1, n]);
    times = tf.mul(times, tf.cast(tf.less(j, i), 'float32'));
  }
  const q = tf.reshape(queries.q, [rows, count, D]);
  const products = tf.mul(tf.matMul(q, tf.reshape(keys, [rows, n, D]), false, true), scale);
  // Seen in n rounds and counted as often is seen once with log n added.
  const logits = correct ? products : tf.add(products, tf.log(tf.maximum(times, 1)));
  return maskedSoftmax(logits, tf.minimum(times, 1), tf.reshape(v, [rows, n, E]));
}
