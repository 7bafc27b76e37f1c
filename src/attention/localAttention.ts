import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { maskedSoftmax } from './composed/softmax.js';
import { type Windows, windows } from './composed/windows.js';
import { dropoutWeights } from './dropout.js';
import type { LocalAttentionOptions } from './options.js';
import type { Shape } from './settings.js';
import { Door } from './validate.js';

/** Chunks of positions: all rows have the same. */
interface Chunks extends Windows {
  /** Keys that a chunk sees. */
  readonly W: number;
}

/**
 * Attention over neighbouring positions: the sequence is cut into chunks of C tokens, the last one
 * shorter, and each chunk attends to itself, P chunks before and A after. Queries and keys are their own
 * tensors, taken as they are, and a token sees itself (Hugging Face's LocalSelfAttention).
 *
 * Made of tf ops, with their gradients, on every backend. Time and memory grow with L·(1+P+A)·C.
 *
 * @param q `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries.
 * @param k the same: keys.
 * @param v the same but for the last axis: values.
 * @returns a tensor of the shape of `v`. A query that sees nothing returns its own v.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function localAttention(q: Tensor, k: Tensor, v: Tensor, options: LocalAttentionOptions = {}): Tensor {
  return tf.tidy(() => {
    const door = new Door('localAttention');
    const shape = door.shapeOfThree(q, k, v);
    const { scale, dropout: p, seed, causal, ...lengths } = door.localSettings(shape, options);
    const { B, H, L, D, E } = shape;
    if (B * H * L === 0) {
      return tf.zeros(v.shape);
    }
    const chunks = chunksOf(L, lengths);
    const { n, C, W } = chunks;
    const blocks = B * H * n;
    const queries = windows(tf.reshape(q, [B * H, L, D]), { ...chunks, P: 0, A: 0 });
    const keys = windows(tf.reshape(k, [B * H, L, D]), chunks);
    const values = windows(tf.reshape(v, [B * H, L, E]), chunks);
    const admitted = admittedPairs(shape, chunks, causal, options.mask);
    const logits = tf.matMul(tf.mul(queries, scale), keys, false, true);
    const kept =
      p === 0
        ? undefined
        : tf.tensor(
            dropoutWeights(shape, { p, seed }, 0, {
              blocks: n,
              ...tokensOf(chunks),
              queriesPerBlock: C,
              keysPerBlock: W,
            }),
            [blocks, C, W],
          );
    const { out } = maskedSoftmax(logits, admitted, values, kept);
    const attended = tf.slice(tf.reshape(out, [B * H, n * C, E]), [0, 0, 0], [B * H, L, E]);
    const saw = tf.slice(tf.reshape(tf.max(admitted, 2), [B * H, n * C, 1]), [0, 0, 0], [B * H, L, 1]);
    const own = tf.mul(tf.reshape(v, [B * H, L, E]), tf.sub(1, saw));
    return tf.reshape(tf.add(attended, own), v.shape);
  });
}

function chunksOf(L: number, { C, P, A, wrap }: Omit<Chunks, 'n' | 'W'>): Chunks {
  const length = Math.min(C, L); // one chunk holds all, however much longer it could be
  const n = Math.ceil(L / length);
  const wraps = wrap === true && n > 1;
  const before = wraps ? P : Math.min(P, n - 1);
  const after = wraps ? A : Math.min(A, n - 1);
  return { n, C: length, P: before, A: after, wrap: wraps, W: (1 + before + after) * length };
}

/** The position of each query `[n·C]` and key `[n·W]`, which may lie beyond the ends where windows do not wrap. */
function tokensOf({ n, C, P, W, wrap }: Chunks): { queries: Int32Array; keys: Int32Array } {
  const around = (position: number) => (wrap ? (position + n * C) % (n * C) : position);
  return {
    queries: Int32Array.from({ length: n * C }, (_, slot) => slot),
    keys: Int32Array.from({ length: n * W }, (_, slot) =>
      around((Math.floor(slot / W) - P) * C + (slot % W)),
    ),
  };
}

/** `[B·H·n, C, W]` float32: 1 where the pair counts, else 0. */
function admittedPairs(
  { B, H, L }: Shape,
  chunks: Chunks,
  causal: boolean,
  mask: Tensor | undefined,
): Tensor {
  const { n, C, W } = chunks;
  const { queries, keys } = tokensOf(chunks);
  const i = tf.tensor(queries, [n, C, 1], 'int32');
  const j = tf.tensor(keys, [n, 1, W], 'int32');
  const exists = tf.tensor(
    keys.map((key) => Number(key >= 0 && key < L)),
    [n, 1, W],
    'float32',
  );
  let ofRow = tf.mul(tf.ones([n, C, 1]), exists);
  if (causal) {
    ofRow = tf.mul(ofRow, tf.cast(tf.lessEqual(j, i), 'float32'));
  }
  if (mask === undefined) {
    return tf.tile(ofRow, [B * H, 1, 1]);
  }
  const real = tf.reshape(tf.cast(tf.notEqual(tf.cast(mask, 'int32'), 0), 'float32'), [B, L, 1]);
  const ofQuery = tf.reshape(windows(real, { ...chunks, P: 0, A: 0 }), [B * n, C, 1]);
  const ofKey = tf.reshape(windows(real, chunks), [B * n, 1, W]);
  const ofBatch = tf.mul(tf.mul(tf.tile(ofRow, [B, 1, 1]), ofKey), ofQuery);
  const heads = tf.tile(tf.reshape(ofBatch, [B, 1, n, C * W]), [1, H, 1, 1]);
  return tf.reshape(heads, [B * H * n, C, W]);
}
