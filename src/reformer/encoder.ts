import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type AttentionLayer, LocalLayer, LshLayer } from './attention.js';
import { type Call, seedOf, type Weights } from './call.js';
import type { ReformerConfig } from './config.js';
import { dropElements } from './dropout.js';
import { embed, embedAt } from './embedding.js';
import { FeedForward } from './feedForward.js';
import type { Batch } from './inputs.js';
import { layerNorm } from './linear.js';
import { type ReversibleLayer, reversible, type Streams, step } from './reversible.js';

/** A model without its head: its embedding, its layers, and the norm over what they make. */
export class Encoder {
  /** From the first to the last. */
  readonly layers: readonly ReversibleLayer[];

  constructor(
    private readonly config: ReformerConfig,
    private readonly weights: Weights,
  ) {
    this.layers = config.attn_layers.map((_, i) =>
      makeLayer(config, weights.under(`encoder.layers.${i}`), i),
    );
  }

  /** What the first layer is given, `[B, L, hidden_size]`: words and positions. */
  embed({ ids }: Batch, call: Call): Tensor {
    return embed(ids, this.config, this.weights.under('embeddings'), call);
  }

  /** The same of tokens `ids [B, T]` at `positions [B][T]`, in a call that does not train. */
  embedAt(ids: Tensor2D, positions: readonly (readonly number[])[]): Tensor {
    return embedAt(ids, positions, this.config, this.weights.under('embeddings'));
  }

  /** The streams after the last layer, side by side, `[B, L, 2·hidden_size]`. */
  run(x: Tensor, call: Call, keepActivations = false): Tensor {
    if (!keepActivations) {
      return reversible(x, this.layers, call);
    }
    const start: Streams = [x, x];
    return tf.concat(
      this.layers.reduce((streams, layer) => step(streams, layer, call).streams, start),
      2,
    );
  }

  /** What a head reads, `[B, L, 2·hidden_size]`, of the streams side by side. */
  finish(streams: Tensor, call: Call): Tensor {
    const { hidden_dropout_prob, layer_norm_eps, num_hidden_layers } = this.config;
    const normed = layerNorm(streams, this.weights.under('encoder').norm(), layer_norm_eps);
    const p = call.training ? hidden_dropout_prob : 0;
    const whole = { first: 0, length: normed.shape[1] as number };
    return dropElements(normed, { p, seed: seedOf(call, num_hidden_layers, 'attended') }, whole);
  }
}

function makeLayer(config: ReformerConfig, weights: Weights, i: number): ReversibleLayer {
  const kinds = config.attn_layers;
  const under = weights.under('attention');
  const place = kinds.slice(0, i).filter((kind) => kind === 'lsh').length;
  const attention: AttentionLayer =
    kinds[i] === 'lsh' ? new LshLayer(config, under, i, place) : new LocalLayer(config, under, i);
  return { attention, feedForward: new FeedForward(config, weights.under('feed_forward'), i) };
}
