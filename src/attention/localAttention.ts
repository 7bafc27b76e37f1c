import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { boundedQueries, maskedSoftmax, onesOf } from './composed/softmax.js';
import { type Windows, windows } from './composed/windows.js';
import { scaledDotProductAttention } from './dense/scaledDotProduct.js';
import { AttentionDoor } from './door.js';
import { type Dropout, dropoutWeights } from './dropout.js';
import type { LocalAttentionOptions } from './options.js';
import type { Shape } from './settings.js';

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
 * On the `webgpu` backend chunks go through the fused kernels of {@link scaledDotProductAttention}, unless weights are
 * dropped; else it is made of tf ops. It is differentiable, once. Time and memory grow with L·(1+P+A)·C.
 *
 * @param q `[B, H, L, D]`, `[H, L, D]` or `[L, D]`, float32: queries.
 * @param k the same: keys.
 * @param v the same but for the last axis: values.
 * @returns a tensor of the shape of `v`. A query that sees nothing returns its own v.
 * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
 */
export function localAttention(q: Tensor, k: Tensor, v: Tensor, options: LocalAttentionOptions = {}): Tensor {
  const door = new AttentionDoor('localAttention');
  return door.tidy(() => {
    const shape = door.shapeOfThree(q, k, v);
    const { scale, dropout: p, seed, causal, ...lengths } = door.localSettings(shape, options);
    const { B, H, L, D, E } = shape;
    if (B * H * L === 0) {
      return tf.zeros(v.shape);
    }
    const chunks = chunksOf(L, lengths);
    const parts: Parts = {
      queries: windows(tf.reshape(q, [B * H, L, D]), { ...chunks, P: 0, A: 0 }),
      keys: windows(tf.reshape(k, [B * H, L, D]), chunks),
      values: windows(tf.reshape(v, [B * H, L, E]), chunks),
      admitted: admittedPairs(shape, chunks, causal, options.mask),
    };
    const slots = chunks.n * chunks.C;
    const out =
      p === 0 ? attendExactly(parts, scale) : attendDropping(parts, scale, shape, chunks, { p, seed });
    const attended = tf.slice(tf.reshape(out, [B * H, slots, E]), [0, 0, 0], [B * H, L, E]);
    if (options.mask === undefined) {
      return tf.reshape(attended, v.shape); // every query sees itself
    }
    const seen = tf.reshape(tf.max(parts.admitted, 2), [B * H, slots, 1]);
    const saw = tf.slice(seen, [0, 0, 0], [B * H, L, 1]);
    const own = tf.mul(tf.reshape(v, [B * H, L, E]), tf.sub(1, saw));
    return tf.reshape(tf.add(attended, own), v.shape);
  });
}

/** All chunks, and what they see. */
interface Parts {
  /** `[B·H·n, C, D]` */
  readonly queries: Tensor;
  /** `[B·H·n, W, D]` */
  readonly keys: Tensor;
  /** `[B·H·n, W, E]` */
  readonly values: Tensor;
  /** `[B·H·n, C, W]` */
  readonly admitted: Tensor;
}

/** Each chunk as a sequence of its own: on WebGPU a fused kernel, forward and backward. */
function attendExactly({ queries, keys, values, admitted }: Parts, scale: number): Tensor {
  const mask = tf.cast(tf.expandDims(admitted, 1), 'bool');
  const [q, k, v] = [queries, keys, values].map((x) => tf.expandDims(x, 1)) as [Tensor, Tensor, Tensor];
  return scaledDotProductAttention(q, k, v, { scale, mask });
}

/** The same with dropout, whose pairs are known by their places in the whole sequence. */
function attendDropping(
  { queries, keys, values, admitted }: Parts,
  scale: number,
  shape: Shape,
  chunks: Chunks,
  dropout: Dropout,
): Tensor {
  const { n, C, W } = chunks;
  const places = { blocks: n, ...tokensOf(chunks), queriesPerBlock: C, keysPerBlock: W };
  const kept = tf.tensor(dropoutWeights(shape, dropout, 0, places), admitted.shape);
  const bounded = boundedQueries(queries, scale);
  const logits = tf.matMul(tf.mul(bounded.queries, bounded.scale), keys, false, true);
  return maskedSoftmax(logits, admitted, values, kept).out;
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
  const real = tf.reshape(onesOf(mask), [B, L, 1]);
  const ofQuery = tf.reshape(windows(real, { ...chunks, P: 0, A: 0 }), [B * n, C, 1]);
  const ofKey = tf.reshape(windows(real, chunks), [B * n, 1, W]);
  const ofBatch = tf.mul(tf.mul(tf.tile(ofRow, [B, 1, 1]), ofKey), ofQuery);
  const heads = tf.tile(tf.reshape(ofBatch, [B, 1, n, C * W]), [1, H, 1, 1]);
  return tf.reshape(heads, [B * H * n, C, W]);
}
