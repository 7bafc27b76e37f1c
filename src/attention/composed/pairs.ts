/** Who sees whom in a round, from tf ops: the sort and the windows of the composed path. */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Settings, Shape } from '../settings.js';

/** A round's permutation and what later rounds ask of it; all `[rows, L]` int32. */
export interface SortedRound {
  /** Token at each slot. */
  readonly order: Tensor2D;
  /** Slot of each token. */
  readonly slotOf: Tensor2D;
  /** Chunk of each token. */
  readonly chunk: Tensor2D;
  /** Bucket of each token, N for padding wherever it is sorted. */
  readonly bucket: Tensor2D;
}

/** Sorts a round of `buckets [rows, R, L]`: 0 … N, or −1−b for padding among the tokens of bucket b. */
export function sortRound(buckets: Tensor3D, r: number, { B, H, L }: Shape, { C, N }: Settings): SortedRound {
  const ids = tf.reshape(tf.slice(buckets, [0, r, 0], [B * H, 1, L]), [B * H, L]);
  const zero = tf.scalar(0, 'int32');
  const most = tf.scalar(N, 'int32');
  const unpadded = tf.maximum(ids, tf.sub(tf.scalar(-1, 'int32'), ids));
  const order = argsort(tf.minimum(unpadded, most) as Tensor2D);
  const slotOf = argsort(order);
  const chunk = tf.floorDiv(slotOf, tf.scalar(C, 'int32')) as Tensor2D;
  const isReal = tf.logicalAnd(tf.greaterEqual(ids, zero), tf.less(ids, most));
  return { order, slotOf, chunk, bucket: tf.where(isReal, ids, tf.fill(ids.shape, N, 'int32')) as Tensor2D };
}

/** A stable argsort of rows of small integers: tfjs has none, but topk prefers the lower index. */
function argsort(keys: Tensor2D): Tensor2D {
  return tf.topk(tf.neg(keys), keys.shape[1]).indices as Tensor2D;
}

/** Row indices into a `[rows · perRow, …]` tensor from indices within rows. */
export function flat(indices: Tensor2D, perRow: number): Tensor {
  const rows = indices.shape[0];
  const starts = tf.reshape(tf.mul(tf.range(0, rows, 1, 'int32'), tf.scalar(perRow, 'int32')), [rows, 1]);
  return tf.reshape(tf.add(indices, starts), [-1]);
}

/** A round's queries and keys by chunk: n chunks of C queries, each with W keys. */
export interface Pairs {
  /** `[rows·n, C, W]` float32: 1 where the pair counts, else 0. */
  readonly admitted: Tensor;
  /** The tokens behind them, `[rows, n·C]` and `[rows, n·W]`. */
  readonly tokens: { readonly queries: Tensor; readonly keys: Tensor };
}

/** Who sees whom in round `r`. */
export function pairsOf(
  r: number,
  sorted: readonly SortedRound[],
  { B, H, L }: Shape,
  settings: Settings,
): Pairs {
  const { R, C, P, A, N } = settings;
  const rows = B * H;
  const n = Math.ceil(L / C);
  const W = (1 + P + A) * C;
  const slots = windowSlots(r, n, L, settings);
  const order = tf.concat(
    sorted.map((round) => round.order),
    1,
  );
  const tokensAt = (slotsOf: Int32Array) =>
    tf.reshape(tf.gather(order, tf.tensor1d(slotsOf, 'int32'), 1), [rows, slotsOf.length]) as Tensor2D;
  const queryToken = tokensAt(slots.query);
  const keyToken = tokensAt(slots.key);
  const queryRows = flat(queryToken, L);
  const keyRows = flat(keyToken, L);
  const asQueries = (x: Tensor) => tf.reshape(x, [rows * n, C, 1]);
  const asKeys = (x: Tensor) => tf.reshape(x, [rows * n, 1, W]);
  const ofQueries = (table: Tensor) => asQueries(tf.gather(tf.reshape(table, [-1]), queryRows));
  const ofKeys = (table: Tensor) => asKeys(tf.gather(tf.reshape(table, [-1]), keyRows));

  // Buckets of all rounds, no two rounds sharing an id; with 'wrap' a key may be of another round.
  const buckets = tf.concat(
    sorted.map(({ bucket }, round) => tf.add(bucket, tf.scalar(round * (N + 1), 'int32'))),
    1,
  );
  const bucketsAt = (token: Tensor, starts: Int32Array) =>
    tf.gather(
      tf.reshape(buckets, [-1]),
      flat(tf.add(token, tf.tensor2d(starts, [1, starts.length], 'int32')) as Tensor2D, R * L),
    );
  const queryBucket = asQueries(
    bucketsAt(
      queryToken,
      slots.query.map((slot) => slot - (slot % L)),
    ),
  );
  const keyBucket = asKeys(
    bucketsAt(
      keyToken,
      slots.key.map((slot) => slot - (slot % L)),
    ),
  );
  const isReal = (bucket: Tensor) =>
    tf.notEqual(tf.mod(bucket, tf.scalar(N + 1, 'int32')), tf.scalar(N, 'int32'));
  const exists = tf.tile(tf.reshape(tf.tensor1d(slots.keyExists, 'bool'), [1, n, W]), [rows, 1, 1]);
  const i = asQueries(queryToken);
  const j = asKeys(keyToken);
  let admitted = tf.logicalAnd(
    tf.logicalAnd(asKeys(exists), isReal(keyBucket)),
    tf.logicalAnd(isReal(queryBucket), settings.causal ? tf.less(j, i) : tf.notEqual(i, j)),
  );
  if (!settings.acrossBuckets) {
    admitted = tf.logicalAnd(admitted, tf.equal(keyBucket, queryBucket));
  }
  for (const earlier of settings.correct ? sorted.slice(0, r) : []) {
    // Each key once: a pair that an earlier round has seen is not seen again.
    const apart = tf.sub(ofKeys(earlier.chunk), ofQueries(earlier.chunk));
    let seen = tf.logicalAnd(
      tf.greaterEqual(apart, tf.scalar(-P, 'int32')),
      tf.lessEqual(apart, tf.scalar(A, 'int32')),
    );
    if (!settings.acrossBuckets) {
      seen = tf.logicalAnd(seen, tf.equal(ofKeys(earlier.bucket), ofQueries(earlier.bucket)));
    }
    admitted = tf.logicalAnd(admitted, tf.logicalNot(seen));
  }
  return {
    admitted: tf.cast(admitted, 'float32'),
    tokens: { queries: queryToken, keys: keyToken },
  };
}

interface WindowSlots {
  /** Slot, counted through all rounds, of each query `[n·C]` and of each key `[n·W]`. */
  readonly query: Int32Array;
  readonly key: Int32Array;
  readonly keyExists: Uint8Array;
}

function windowSlots(r: number, n: number, L: number, { R, C, P, A, wrap }: Settings): WindowSlots {
  const W = (1 + P + A) * C;
  const query = Int32Array.from({ length: n * C }, (_, slot) => r * L + Math.min(slot, L - 1));
  const key = new Int32Array(n * W);
  const keyExists = new Uint8Array(n * W);
  for (let chunk = 0; chunk < n; chunk++) {
    for (let w = 0; w < W; w++) {
      const slot = (chunk - P) * C + w;
      const inside = slot >= 0 && slot < L;
      keyExists[chunk * W + w] = Number(inside || wrap);
      key[chunk * W + w] = wrap ? modulo(r * L + slot, R * L) : r * L + (inside ? slot : 0);
    }
  }
  return { query, key, keyExists };
}

function modulo(a: number, b: number): number {
  return ((a % b) + b) % b;
}
