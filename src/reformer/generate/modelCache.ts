import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { LshCache } from '../../attention/decode/LshCache.js';
import { LshLayer } from '../attention.js';
import type { Call } from '../call.js';
import type { ReformerConfig } from '../config.js';
import type { Encoder } from '../encoder.js';
import { linear } from '../linear.js';
import type { Decoder } from '../loss.js';
import type { ReversibleLayer, Streams } from '../reversible.js';
import { LocalCache, type Positions } from './localCache.js';

/** What of a model decodes. */
export interface DecodingModel {
  readonly config: ReformerConfig;
  readonly encoder: Encoder;
  /** The head. */
  readonly decoder: Decoder;
  /** N for texts of so many tokens, or its factors. */
  bucketsOf(length: number): number | readonly number[];
}

type LayerCache = { readonly layer: ReversibleLayer; readonly cache: LshCache | LocalCache };

/** Every layer's tokens of a batch of texts: what is appended goes through the model, and sees what came before. */
export class ModelCache {
  private readonly layers: LayerCache[] = [];

  /** @param call its window is `'bucket'`, and it does not train. */
  constructor(
    private readonly model: DecodingModel,
    private readonly call: Call,
    maxLength: number,
  ) {
    try {
      for (const layer of model.encoder.layers) {
        const { attention } = layer;
        const hashed = attention instanceof LshLayer;
        const cache = hashed ? lshCache(attention, call, maxLength) : new LocalCache(model.config);
        this.layers.push({ layer, cache });
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * Takes tokens `[B][T]` in.
   *
   * @param positions where they stand in their texts; those below 0 are padding, which none sees.
   * @returns the logits of the last ones' next tokens, `[B, V]`.
   */
  append(ids: Positions, positions: Positions): Tensor2D {
    return tf.tidy(() => {
      const { encoder, decoder } = this.model;
      const places = positions.map((row) => row.map((i) => Math.max(0, i)));
      const x = encoder.embedAt(integers(ids), places);
      let streams: Streams = [x, x];
      for (const { layer, cache } of this.layers) {
        streams = tf.tidy(() => this.step(streams, layer, cache, positions));
      }
      const [B, T, width] = x.shape as [number, number, number];
      const last = tf.slice(tf.concat([...streams], 2), [0, T - 1, 0], [B, 1, 2 * width]);
      const logits = linear(encoder.finish(last, this.call), decoder.weight, decoder.bias);
      return tf.reshape(logits, [B, -1]) as Tensor2D;
    });
  }

  /** Text b becomes what text indices[b] is now; a text may be named often or never. */
  reorder(indices: readonly number[]): void {
    for (const { cache } of this.layers) {
      cache.reorder(indices);
    }
  }

  dispose(): void {
    for (const { cache } of this.layers) {
      cache.dispose();
    }
  }

  private step(
    [x1, x2]: Streams,
    { attention, feedForward }: ReversibleLayer,
    cache: LshCache | LocalCache,
    positions: Positions,
  ): Streams {
    const heads = attention.project(x2);
    const attended =
      cache instanceof LocalCache
        ? cache.append(heads, positions)
        : cache.append(heads[0] as Tensor, heads[1] as Tensor, maskOf(positions));
    const y1 = tf.add(x1, attention.gather(attended, this.call));
    return [y1, tf.add(x2, feedForward.apply(y1, this.call))];
  }
}

function lshCache(layer: LshLayer, call: Call, maxLength: number): LshCache {
  const { numHashes, numBuckets, chunkLength, duplicates, rotation, scale, seed } = layer.options(call);
  const rotations = layer.rotationsOf(call);
  return new LshCache({
    ...{ numHashes, numBuckets, chunkLength, duplicates, rotation, scale, seed, maxLength },
    ...(rotations && { rotations }),
  });
}

function maskOf(positions: Positions): { readonly mask?: Tensor } {
  return positions.every((row) => row.every((i) => i >= 0))
    ? {}
    : { mask: integers(positions.map((row) => row.map((i) => Number(i >= 0)))) };
}

function integers(rows: Positions): Tensor2D {
  return tf.tensor2d(rows as number[][], [rows.length, rows[0]?.length ?? 0], 'int32');
}
