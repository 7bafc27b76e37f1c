/** Who sees whom in a round, from tf ops: the sort and the windows of the composed path. */
import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Settings, Shape } from './settings.js';

/** A round's permutation and what later rounds ask of it; all `[rows, L]` int32. */
export interface SortedRound {
  /** Token at each slot. */
  readonly order: Tensor2D;
  /** Slot of each token. */
  readonly slotOf: Tensor2D;
  /** Chunk of each token. */
  readonly chunk: Tensor2D;
  readonly bucket: Tensor2D;
}

/** Sorts a round by `keys [rows, R, L]`, which are its buckets or stand for them. */
export function sortRound(
  keys: Tensor3D,
  buckets: Tensor3D,
  r: number,
  { B, H, L }: Shape,
  { C }: Settings,
): SortedRound {
  const ofRound = (x: Tensor3D) => tf.reshape(tf.slice(x, [0, r, 0], [B * H, 1, L]), [B * H, L]) as Tensor2D;
  const order = argsort(ofRound(keys));
  const slotOf = argsort(order);
  const chunk = tf.floorDiv(slotOf, tf.scalar(C, 'int32')) as Tensor2D;
  return { order, slotOf, chunk, bucket: ofRound(buckets) };
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

/** A round's queries and keys by chunk. */
export interface Pairs {
  /** Chunks of the round. */
  readonly n: number;
  /** Keys that a chunk sees. */
  readonly W: number;
  /** Rows of the token tables for each query and each key, `[rows·n·C]` and `[rows·n·W]`. */
  readonly queryRows: Tensor;
  readonly keyRows: Tensor;
  /** `[rows·n, C, W]` float32: 1 where the pair counts, else 0. */
  readonly admitted: Tensor;
}

export function pairsOf(
  r: number,
  order: Tensor2D,
  sorted: readonly SortedRound[],
  { B, H, L }: Shape,
  settings: Settings,
): Pairs {
  const { R, C, P, A, N } = settings;
  const rows = B * H;
  const n = Math.ceil(L / C);
  const W = (1 + P + A) * C;
  const slots = windowSlots(r, n, L, settings);
  const queryToken = tf.reshape(tf.gather(order, tf.tensor1d(slots.query, 'int32'), 1), [
    rows,
    n * C,
  ]) as Tensor2D;
  const keyToken = tf.reshape(tf.gather(order, tf.tensor1d(slots.key, 'int32'), 1), [
    rows,
    n * W,
  ]) as Tensor2D;
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
  return { n, W, queryRows, keyRows, admitted: tf.cast(admitted, 'float32') };
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
