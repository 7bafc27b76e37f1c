import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { scaledDotProductAttention } from '../../attention/dense/scaledDotProduct.js';
import type { ReformerConfig } from '../config.js';

/** Where tokens stand in their texts, `[B][T]`; below 0 what comes before a text, padding. */
export type Positions = readonly (readonly number[])[];

/** The tokens of a local layer that a later one may see: its chunk and those before. */
export class LocalCache {
  private readonly chunkLength: number;
  private readonly before: number;
  /** Keys and values `[B, H, kept, D]`, and where they stand. */
  private held: { readonly k: Tensor; readonly v: Tensor; readonly positions: Positions } | undefined;

  constructor({ local_attn_chunk_length, local_num_chunks_before }: ReformerConfig) {
    this.chunkLength = local_attn_chunk_length;
    this.before = local_num_chunks_before;
  }

  /** Takes new tokens in, `[B, H, T, D]`, and attends: `[B, H, T, D]`. */
  append([q, k, v]: readonly Tensor[], positions: Positions): Tensor {
    const { held } = this;
    const joined = (before: Tensor | undefined, now: Tensor) =>
      before === undefined ? now : tf.concat([before, now], 2);
    return tf.tidy(() => {
      const keys = joined(held?.k, k as Tensor);
      const values = joined(held?.v, v as Tensor);
      const places = positions.map((row, b) => [...(held?.positions[b] ?? []), ...row]);
      const mask = this.pairs(positions, places);
      const out = scaledDotProductAttention(q as Tensor, keys, values, { mask });
      this.keep(keys, values, places);
      return out;
    });
  }

  /** Entry b of the batch becomes what entry indices[b] is now. */
  reorder(indices: readonly number[]): void {
    const { held } = this;
    if (held !== undefined) {
      tf.tidy(() => {
        const order = tf.tensor1d([...indices], 'int32') as Tensor1D;
        const positions = indices.map((index) => held.positions[index] as number[]);
        this.replace(tf.gather(held.k, order), tf.gather(held.v, order), positions);
      });
    }
  }

  dispose(): void {
    tf.dispose([this.held?.k, this.held?.v].filter((tensor) => tensor !== undefined));
    this.held = undefined;
  }

  /** `[B, 1, queries, keys]`, 1 where the query sees the key. */
  private pairs(queries: Positions, keys: Positions): Tensor {
    const [T, W] = [queries[0]?.length ?? 0, keys[0]?.length ?? 0];
    const seen = new Int32Array(queries.length * T * W);
    let at = 0;
    for (const [b, row] of queries.entries()) {
      for (const i of row) {
        const first = Math.max(0, (Math.floor(i / this.chunkLength) - this.before) * this.chunkLength);
        for (const j of keys[b] as readonly number[]) {
          seen[at++] = Number(j >= first && j <= i);
        }
      }
    }
    return tf.tensor(seen, [queries.length, 1, T, W], 'int32');
  }

  /** The last tokens, as many as the next one can see. */
  private keep(k: Tensor, v: Tensor, positions: Positions): void {
    const [B, H, length, D] = k.shape as [number, number, number, number];
    const count = Math.min(length, (this.before + 1) * this.chunkLength - 1);
    const last = (x: Tensor) => tf.slice(x, [0, 0, length - count, 0], [B, H, count, D]);
    this.replace(
      last(k),
      last(v),
      positions.map((row) => row.slice(length - count)),
    );
  }

  private replace(k: Tensor, v: Tensor, positions: Positions): void {
    this.dispose();
    this.held = { k: tf.keep(k), v: tf.keep(v), positions };
  }
}
