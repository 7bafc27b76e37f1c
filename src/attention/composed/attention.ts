/**
 * LSH attention from tf ops, for every backend without our kernels: sort, attend round by round, merge.
 * Its gradient is that of its ops.
 */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { detach } from '../detach.js';
import { dropoutWeights } from '../dropout.js';
import { NOTHING_SEEN } from '../options.js';
import type { AttentionInputs, Settings, Shape } from '../settings.js';
import { attendInBuckets } from './allPairs.js';
import { type Pairs, pairsOf, sortRound } from './pairs.js';
import { rowsAt } from './rows.js';
import { type Attended, either, keysOf, lastResort } from './softmax.js';

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

/** What all rounds read. */
interface Tables {
  /** Scaled queries, keys and values of all rows, `[B·H·L, …]`. */
  readonly q: Tensor2D;
  readonly k: Tensor2D;
  readonly v: Tensor2D;
  /** The logits of a round in which nobody sees anything, `[B·H·n, C, W]`. */
  readonly nothing: Tensor;
}

/** A round's sums over the keys that each token sees, `[B·H·L, …]`, of `exp(logit − most)`. */
interface Sums {
  /** Times values. */
  readonly out: Tensor;
  readonly sum: Tensor;
  /** The largest logit, which has no gradient: a shift changes nothing. */
  readonly most: Tensor;
}

function attendInChunks(
  queries: Tensor3D,
  values: Tensor3D,
  buckets: Tensor3D,
  shape: Shape,
  settings: Settings,
): Attended {
  const { B, H, L } = shape;
  const { C, P, A } = settings;
  const flat = (x: Tensor) => tf.reshape(x, [B * H * L, -1]) as Tensor2D;
  const tables: Tables = {
    q: flat(tf.mul(queries, settings.scale)),
    k: flat(keysOf(queries)),
    v: flat(values),
    nothing: tf.fill([B * H * Math.ceil(L / C), C, (1 + P + A) * C], NOTHING_SEEN),
  };
  const ids = buckets.dataSync() as Int32Array;
  const sorted = Array.from({ length: settings.R }, (_, r) => sortRound(ids, r, shape, settings));
  const seeing = new Float32Array(B * H * L);
  const rounds = sorted.map(({ slotOf }, r) =>
    // What a round has computed on its way is gone before the next, unless a gradient asks for it.
    tf.tidy(() => {
      const pairs = pairsOf(r, sorted, shape, settings, seeing);
      return { ...sumsOf(tables, pairs, slotOf, r, shape, settings) };
    }),
  );
  const { out, lse } = merge(rounds, tf.tensor(seeing, [B * H * L, 1]));
  return { out: tf.reshape(out, values.shape), lse: tf.reshape(lse, [B * H, L, 1]) };
}

/** Attends in a round, and takes the results from slots back to tokens. */
function sumsOf(
  { q, k, v, nothing }: Tables,
  { queries, keys, hidden }: Pairs,
  slotOf: Int32Array,
  r: number,
  { B, H, L }: Shape,
  { C, dropout, seed }: Settings,
): Sums {
  const n = Math.ceil(L / C);
  const byChunk = (x: Tensor2D) => tf.reshape(x, [B * H * n, -1, x.shape[1]]);
  const toKeys = rowsAt(keys);
  const logits = tf.matMul(byChunk(rowsAt(queries)(q)), byChunk(toKeys(k)), false, true);
  const masked = tf.where(tf.tensor(hidden, logits.shape, 'bool'), nothing, logits);
  const most = detach(tf.max(masked, 2, true));
  const weights = tf.exp(tf.sub(masked, most));
  const kept = () =>
    dropoutWeights({ B, H }, { p: dropout, seed }, r, {
      blocks: n,
      queries: queries.map((query) => query % L),
      keys: keys.map((key) => key % L),
      queriesPerBlock: C,
      keysPerBlock: keys.length / (B * H * n),
    });
  const dropped = dropout === 0 ? weights : tf.mul(weights, tf.tensor(kept(), weights.shape));
  const atSlots = rowsAt(slotOf);
  const toTokens = (x: Tensor) => atSlots(tf.reshape(x, [B * H * n * C, -1]) as Tensor2D);
  return {
    out: toTokens(tf.matMul(dropped, byChunk(toKeys(v)))),
    sum: toTokens(tf.sum(weights, 2, true)),
    most: toTokens(most),
  };
}

/** The rounds as one. `seeing` is 0 for a token that has seen nothing, whatever its sums are, else 1. */
function merge(rounds: readonly Sums[], seeing: Tensor): Attended {
  const most = rounds.map((round) => round.most).reduce((a, b) => tf.maximum(a, b));
  const factors = rounds.map((round) => tf.exp(tf.sub(round.most, most)));
  const sums = rounds.map(({ sum }, r) => tf.mul(sum, factors[r] as Tensor));
  const sum = tf.add(tf.addN(sums), tf.sub(1, seeing));
  const outs = rounds.map(({ out }, r) => tf.mul(out, tf.div(factors[r] as Tensor, sum)));
  return { out: tf.addN(outs), lse: either(seeing, tf.add(most, tf.log(sum)), NOTHING_SEEN) };
}
