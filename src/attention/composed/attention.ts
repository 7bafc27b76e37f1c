/**
 * LSH attention from tf ops, for every backend without our kernels. The same steps as the kernels:
 * sort, attend round by round, merge by log-sum-exp. Its gradient is that of its ops; the sort is a
 * permutation, and so is its gradient.
 */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { dropoutWeights } from '../dropout.js';
import { NOTHING_SEEN } from '../options.js';
import type { AttentionInputs, Settings, Shape } from '../settings.js';
import { attendInBuckets } from './allPairs.js';
import { flat, pairsOf, sortRound } from './pairs.js';
import { type Attended, keysOf, lastResort, maskedSoftmax, merge } from './softmax.js';
import { ringWindows, windows } from './windows.js';

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

function attendInChunks(
  queries: Tensor3D,
  values: Tensor3D,
  buckets: Tensor3D,
  shape: Shape,
  settings: Settings,
): Attended {
  const { B, H, L, E } = shape;
  const { R, C, P, A, wrap, scale } = settings;
  const rows = B * H;
  const sorted = Array.from({ length: R }, (_, r) => sortRound(buckets, r, shape, settings));
  const sortedQueries = sorted.map((round) => permute(queries, round.order, round.slotOf));
  const sortedValues = sorted.map((round) => permute(values, round.order, round.slotOf));
  const sortedKeys = sortedQueries.map(keysOf);
  const n = Math.ceil(L / C);
  const windowsOfRound = (rounds: readonly Tensor[], r: number) =>
    wrap ? ringWindows(rounds, r, { n, C, P, A }) : windows(rounds[r] as Tensor, { n, C, P, A });

  let attended: Attended = { out: tf.zeros([rows, L, E]), lse: tf.fill([rows, L, 1], NOTHING_SEEN) };
  for (const [r, round] of sorted.entries()) {
    const { admitted, tokens } = pairsOf(r, sorted, shape, settings);
    const q = windows(sortedQueries[r] as Tensor, { n, C, P: 0, A: 0 });
    const k = windowsOfRound(sortedKeys, r);
    const logits = tf.mul(tf.matMul(q, k, false, true), scale);
    const kept = settings.dropout === 0 ? undefined : keptPairs(r, tokens, logits.shape, shape, settings);
    const ofSlots = maskedSoftmax(logits, admitted, windowsOfRound(sortedValues, r), kept);
    // Back from slots to positions.
    const back = (x: Tensor) => {
      const width = x.shape[2] as number;
      const slots = tf.slice(tf.reshape(x, [rows, n * C, width]), 0, [rows, L, width]);
      return permute(slots as Tensor3D, round.slotOf, round.order);
    };
    attended = merge(attended, { out: back(ofSlots.out), lse: back(ofSlots.lse) });
  }
  return attended;
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
