/**
 * LSH attention from tf ops, for every backend without our kernels. The same steps as the kernels:
 * sort, attend round by round, merge by log-sum-exp. Its gradient is that of its ops; the sort is a
 * permutation, and so is its gradient.
 */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { detach } from './detach.js';
import { dropoutWeights } from './dropout.js';
import { NOTHING_SEEN } from './options.js';
import { flat, pairsOf, sortRound } from './pairs.js';
import type { AttentionInputs, Settings, Shape } from './settings.js';

/** `[out, lse]` of shapes `[B, H, L, E]` and `[B, H, L]`. */
export function composedAttention(inputs: AttentionInputs, shape: Shape, settings: Settings): Tensor[] {
  const { B, H, L, D, E } = shape;
  return tf.tidy(() => {
    const queries = tf.reshape(inputs.qk, [B * H, L, D]) as Tensor3D;
    const values = tf.reshape(inputs.v, [B * H, L, E]) as Tensor3D;
    const buckets = tf.reshape(inputs.buckets, [B * H, settings.R, L]) as Tensor3D;
    const attend = settings.bucketWindow ? attendInBuckets : attendInChunks;
    const { out, lse } = lastResort(attend(queries, values, buckets, shape, settings), values);
    return [tf.reshape(out, [B, H, L, E]), tf.reshape(lse, [B, H, L])];
  });
}

/** An output `[rows, L, E]` and its log-sum-exp `[rows, L, 1]`. */
export interface Attended {
  readonly out: Tensor;
  readonly lse: Tensor;
}

/** Keys of unit length, nearly: q / sqrt(|q|² + D·1e-6). */
export function keysOf(q: Tensor): Tensor {
  const depth = q.shape[q.rank - 1] as number;
  return tf.div(q, tf.sqrt(tf.add(tf.sum(tf.square(q), -1, true), depth * 1e-6)));
}

/** The query's own value where it has seen nothing. */
export function lastResort({ out, lse }: Attended, values: Tensor): Attended {
  const seen = tf.cast(tf.greater(detach(lse), NOTHING_SEEN / 10), 'float32');
  const alone = tf.sub(1, seen);
  return {
    out: tf.add(tf.mul(out, seen), tf.mul(values, alone)),
    lse: tf.add(tf.mul(lse, seen), tf.mul(alone, NOTHING_SEEN)),
  };
}

/**
 * Softmax over the last axis of `logits [blocks, queries, keys]`, of admitted pairs alone, times
 * `v [blocks, keys, E]`. A row without any gives zeros and the log-sum-exp {@link NOTHING_SEEN}.
 *
 * @param kept the multipliers of dropout, of the shape of the logits.
 */
export function maskedSoftmax(logits: Tensor, admitted: Tensor, v: Tensor, kept?: Tensor): Attended {
  const masked = tf.add(tf.mul(logits, admitted), tf.mul(tf.sub(1, admitted), NOTHING_SEEN));
  // Asked of the pairs, not of the largest logit: WebGL's max returns no less than -1e20.
  const seen = tf.max(admitted, 2, true);
  const alone = tf.sub(1, seen);
  // A shift changes nothing, so it has no gradient.
  const most = detach(tf.max(masked, 2, true));
  const weights = tf.mul(tf.exp(tf.sub(masked, most)), admitted);
  const sum = tf.add(tf.sum(weights, 2, true), alone);
  return {
    out: tf.div(tf.matMul(kept === undefined ? weights : tf.mul(weights, kept), v), sum),
    lse: tf.add(tf.mul(seen, tf.add(most, tf.log(sum))), tf.mul(alone, NOTHING_SEEN)),
  };
}

function attendInChunks(
  queries: Tensor3D,
  values: Tensor3D,
  buckets: Tensor3D,
  shape: Shape,
  settings: Settings,
): Attended {
  const { B, H, L, E } = shape;
  const { R, C, scale } = settings;
  const rows = B * H;
  const sorted = Array.from({ length: R }, (_, r) => sortRound(buckets, r, shape, settings));
  const sortedQueries = sorted.map((round) => permute(queries, round.order, round.slotOf));
  const sortedValues = sorted.map((round) => permute(values, round.order, round.slotOf));
  const sortedKeys = sortedQueries.map(keysOf);
  const n = Math.ceil(L / C);

  let out: Tensor = tf.zeros([rows, L, E]);
  let lse: Tensor = tf.fill([rows, L, 1], NOTHING_SEEN);
  for (const [r, round] of sorted.entries()) {
    const { admitted, tokens } = pairsOf(r, sorted, shape, settings);
    const q = chunks(sortedQueries[r] as Tensor, 0, n, C);
    const k = windows(sortedKeys, r, settings);
    const logits = tf.mul(tf.matMul(q, k, false, true), scale);
    const kept = settings.dropout === 0 ? undefined : keptPairs(r, tokens, logits.shape, shape, settings);
    const ofSlots = maskedSoftmax(logits, admitted, windows(sortedValues, r, settings), kept);
    // Back from slots to positions, then one step of the online softmax.
    const back = (x: Tensor) => {
      const width = x.shape[2] as number;
      const slots = tf.slice(tf.reshape(x, [rows, n * C, width]), 0, [rows, L, width]);
      return permute(slots as Tensor3D, round.slotOf, round.order);
    };
    const roundLse = back(ofSlots.lse);
    const most = detach(tf.maximum(lse, roundLse));
    const before = tf.exp(tf.sub(lse, most));
    const now = tf.exp(tf.sub(roundLse, most));
    const sum = tf.add(before, now);
    out = tf.div(tf.add(tf.mul(out, before), tf.mul(back(ofSlots.out), now)), sum);
    lse = tf.add(most, tf.log(sum));
  }
  return { out, lse };
}

/**
 * Row `r` of `x` in the order of `to[r]`. tfjs's gather has a gradient that is quadratic on cpu and
 * missing on wasm; a permutation's is the inverse permutation, `from`.
 */
function permute(x: Tensor3D, to: Tensor2D, from: Tensor2D): Tensor3D {
  const [rows, L, width] = x.shape;
  const gather = (table: Tensor, indices: Tensor) =>
    tf.reshape(tf.gather(tf.reshape(table, [rows * L, width]), flat(indices as Tensor2D, L)), [
      rows,
      L,
      width,
    ]);
  const op = tf.customGrad((table, save) => {
    (save as (tensors: Tensor[]) => void)([from]);
    return {
      value: gather(table as Tensor, to),
      gradFunc: (dy: Tensor, saved: Tensor[]) => gather(dy, saved[0] as Tensor),
    };
  });
  return op(x) as Tensor3D;
}

/** `n` chunks of `C` slots from chunk `first` on, `[rows·n, C, width]`; slots beyond the row are zeros. */
function chunks(x: Tensor, first: number, n: number, C: number): Tensor {
  const [rows, length, width] = x.shape as [number, number, number];
  const from = Math.min(length, Math.max(0, first * C));
  const to = Math.max(from, Math.min(length, (first + n) * C));
  const before = Math.min(n * C, Math.max(0, -first * C));
  const part = tf.slice(x, [0, from, 0], [rows, to - from, width]);
  const whole = tf.pad(part, [
    [0, 0],
    [before, n * C - before - (to - from)],
    [0, 0],
  ]);
  return tf.reshape(whole, [rows * n, C, width]);
}

/** What the chunks of round `r` see, `[rows·n, W, width]`: P chunks before, the own, A after. */
function windows(sorted: readonly Tensor[], r: number, { C, P, A, wrap }: Settings): Tensor {
  const round = sorted[r] as Tensor;
  const n = Math.ceil((round.shape[1] as number) / C);
  // With 'wrap' the rounds are one ring of chunks; two turns of it hold every run of n chunks.
  const ring = wrap ? tf.concat([...sorted, ...sorted], 1) : round;
  const all = sorted.length * n;
  const first = (offset: number) => (wrap ? (((r * n + offset) % all) + all) % all : offset);
  const parts = Array.from({ length: P + 1 + A }, (_, w) => chunks(ring, first(w - P), n, C));
  return parts.length === 1 ? (parts[0] as Tensor) : tf.concat(parts, 1);
}

/** Dropout's multipliers for the pairs of a round. The tokens are read back: tf ops have no such hash. */
function keptPairs(
  r: number,
  { queries, keys }: { readonly queries: Tensor; readonly keys: Tensor },
  blocks: readonly number[],
  { B, H }: Shape,
  { dropout, seed }: Settings,
): Tensor {
  const [count, queriesPerBlock, keysPerBlock] = blocks as [number, number, number];
  const weights = dropoutWeights({ B, H }, { p: dropout, seed }, r, {
    blocks: count / (B * H),
    queries: queries.dataSync(),
    keys: keys.dataSync(),
    queriesPerBlock,
    keysPerBlock,
  });
  return tf.tensor(weights, [count, queriesPerBlock, keysPerBlock]);
}

/** Logits of one block of queries: see {@link attendToAll}. */
const MOST_LOGITS = 2 ** 22;

/** Which keys the queries from `first` on see, `[rows, count, L]`, and what becomes of their weights. */
export interface PairsOfBlock {
  readonly admitted: Tensor;
  /** Added to the logits. */
  readonly bias?: Tensor;
  readonly kept?: Tensor;
}

/**
 * Attention over all keys, in blocks of queries: 16 MiB of logits at a time, far below every WebGPU
 * device's binding limit, since tfjs keeps the intermediates of some fifteen ops before it submits them.
 */
export function attendToAll(
  queries: Tensor3D,
  values: Tensor3D,
  scale: number,
  pairsOfBlock: (first: number, count: number) => PairsOfBlock,
): Attended {
  const [rows, L, D] = queries.shape;
  const keys = keysOf(queries);
  const block = Math.max(1, Math.floor(MOST_LOGITS / (rows * L)));
  const parts: Attended[] = [];
  for (let first = 0; first < L; first += block) {
    const count = Math.min(block, L - first);
    const [out, lse] = tf.tidy(() => {
      const q = tf.mul(tf.slice(queries, [0, first, 0], [rows, count, D]), scale);
      const { admitted, bias, kept } = pairsOfBlock(first, count);
      const logits = tf.matMul(q, keys, false, true);
      const part = maskedSoftmax(bias === undefined ? logits : tf.add(logits, bias), admitted, values, kept);
      return [part.out, part.lse] as [Tensor, Tensor];
    });
    parts.push({ out, lse });
  }
  const all = (tensors: Tensor[]) => (tensors.length === 1 ? (tensors[0] as Tensor) : tf.concat(tensors, 1));
  return { out: all(parts.map(({ out }) => out)), lse: all(parts.map(({ lse }) => lse)) };
}

/**
 * Every token sees its buckets whole. Buckets have any length, tensors one shape: so all pairs are
 * computed, and those in no common bucket excluded. It costs as much as dense attention.
 */
function attendInBuckets(
  queries: Tensor3D,
  values: Tensor3D,
  buckets: Tensor3D,
  { B, H, L }: Shape,
  { R, N, causal, correct, dropout, seed, scale }: Settings,
): Attended {
  const rows = B * H;
  const position = tf.range(0, L, 1, 'int32');
  const positions = Int32Array.from({ length: L }, (_, i) => i);
  return attendToAll(queries, values, scale, (first, count) => {
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
        const multipliers = dropoutWeights({ B, H }, { p: dropout, seed }, r, {
          blocks: 1,
          queries: positions.subarray(first, first + count),
          keys: positions,
          queriesPerBlock: count,
          keysPerBlock: L,
        });
        weight = tf.add(weight, tf.mul(now, tf.tensor(multipliers, [rows, count, L])));
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
