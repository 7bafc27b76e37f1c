import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { denseAttention } from '../attention/dense/denseAttention.js';
import { localAttention } from '../attention/localAttention.js';
import { lshAttention, lshBuckets } from '../attention/lshAttention.js';
import type { LshAttentionOptions } from '../attention/options.js';
import { type Call, seedOf, type Weights } from './call.js';
import type { ReformerConfig } from './config.js';
import { dropElements } from './dropout.js';
import { layerNorm, linear } from './linear.js';

/** An attention's output, and the buckets that it hashed to, if it hashed. */
export interface Attended {
  /** `[B, L, hidden_size]` */
  readonly out: Tensor;
  /** `[B, H, R, L]` */
  readonly buckets?: Tensor;
}

/**
 * The attention of one layer: layer norm, projections to heads, attention, projection back. Its three steps are
 * open, for those who attend to a cache between the first and the last.
 */
export abstract class AttentionLayer {
  /** What it attends by. */
  abstract readonly kind: 'lsh' | 'local';
  /** Its weights, in the order of the model's. */
  readonly variables: readonly Variable[];

  constructor(
    protected readonly config: ReformerConfig,
    private readonly weights: Weights,
    /** Which layer of the model it belongs to. */
    readonly index: number,
  ) {
    this.variables = weights.all();
  }

  /** Queries and keys, or each, and values last, `[B, H, L, D]`, of a residual stream `x [B, L, hidden_size]`. */
  abstract project(x: Tensor): Tensor[];

  /** The attention of what {@link project} returned, `[B, H, L, D]`; `buckets` stand in for the hash. */
  abstract attend(heads: readonly Tensor[], call: Call, buckets?: Tensor): Attended;

  /** What the layer adds to the other stream, `[B, L, hidden_size]`, of attended heads `[B, H, L, D]`. */
  gather(heads: Tensor, call: Call): Tensor {
    const [B, H, L, D] = heads.shape as [number, number, number, number];
    const merged = tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [B, L, H * D]);
    const out = linear(merged, this.weights.get('output.dense.weight'));
    const p = call.training ? this.config.hidden_dropout_prob : 0;
    return dropElements(out, { p, seed: seedOf(call, this.index, 'attended') }, { first: 0, length: L });
  }

  /** All three steps: what the layer adds, `[B, L, hidden_size]`, for a residual stream `x [B, L, hidden_size]`. */
  apply(x: Tensor, call: Call, buckets?: Tensor): Attended {
    const { out, ...hashed } = this.attend(this.project(x), call, buckets);
    return { out: this.gather(out, call), ...hashed };
  }

  protected heads(x: Tensor, names: readonly string[]): Tensor[] {
    const { num_attention_heads: H, attention_head_size: D, layer_norm_eps } = this.config;
    const [B, L] = x.shape as [number, number];
    const normed = layerNorm(x, this.weights.norm(), layer_norm_eps);
    return names.map((name) => {
      const projected = linear(normed, this.weights.get(`self_attention.${name}.weight`));
      return tf.transpose(tf.reshape(projected, [B, L, H, D]), [0, 2, 1, 3]);
    });
  }
}

/** The attention of a layer by shared queries and keys, hashed. */
export class LshLayer extends AttentionLayer {
  /** Shared queries and keys, hashed. */
  readonly kind = 'lsh';

  constructor(
    config: ReformerConfig,
    weights: Weights,
    index: number,
    /** How many LSH layers come before it. */
    private readonly place: number,
  ) {
    super(config, weights, index);
  }

  project(x: Tensor): Tensor[] {
    return this.heads(x, ['query_key', 'value']);
  }

  attend([qk, v]: readonly Tensor[], call: Call, buckets?: Tensor): Attended {
    const [queries, values] = [qk as Tensor, v as Tensor];
    if (!hashes(queries.shape[2] as number, this.config, call.window)) {
      const { causal, dropout, seed } = this.options(call);
      const exact = { causal, dropout, seed, ...(call.mask && { mask: call.mask }) };
      return { out: denseAttention(queries, values, exact) };
    }
    const options = { ...this.options(call), ...(call.mask && { mask: call.mask }) };
    const rotations = this.rotationsOf(call);
    const hashed = buckets ?? lshBuckets(queries, { ...options, ...(rotations && { rotations }) });
    return { out: lshAttention(queries, values, { ...options, buckets: hashed }), buckets: hashed };
  }

  /** What the layer hashes by, where the call gives it. */
  rotationsOf({ rotations }: Call): Tensor | undefined {
    return rotations?.[rotations.length === 1 ? 0 : this.place];
  }

  /** The options of {@link lshAttention} that are no tensors, as a cache is made with them too. @internal */
  options(call: Call) {
    const { config } = this;
    return {
      numHashes: call.numHashes,
      numBuckets: call.numBuckets,
      chunkLength: config.lsh_attn_chunk_length,
      chunksBefore: config.lsh_num_chunks_before,
      chunksAfter: config.lsh_num_chunks_after,
      causal: config.is_decoder,
      window: call.window === 'bucket' ? 'bucket' : 'chunk',
      duplicates: config.lsh_duplicates,
      roundBoundary: call.window === 'bucket' ? 'stop' : config.lsh_round_boundary,
      acrossBuckets: config.lsh_across_buckets,
      rotation: config.lsh_rotation,
      scale: 1,
      dropout: call.training ? config.lsh_attention_probs_dropout_prob : 0,
      seed: seedOf(call, this.index, 'attention'),
    } as const satisfies LshAttentionOptions;
  }
}

/** Whether LSH layers hash sequences of `length`, or attend to all there is. */
export function hashes(
  length: number,
  { lsh_attn_chunk_length }: ReformerConfig,
  window: ReformerConfig['lsh_window'],
): boolean {
  // Buckets are hashed however short a sequence is: what comes later must not change how its start is seen.
  return window === 'bucket' || (window === 'chunk' && length > lsh_attn_chunk_length);
}

/** The attention of a layer to neighbouring positions. */
export class LocalLayer extends AttentionLayer {
  /** Neighbouring positions. */
  readonly kind = 'local';

  project(x: Tensor): Tensor[] {
    return this.heads(x, ['query', 'key', 'value']);
  }

  attend([q, k, v]: readonly Tensor[], call: Call): Attended {
    const { config } = this;
    const out = localAttention(q as Tensor, k as Tensor, v as Tensor, {
      chunkLength: config.local_attn_chunk_length,
      chunksBefore: config.local_num_chunks_before,
      chunksAfter: config.local_num_chunks_after,
      causal: config.is_decoder,
      boundary: wrapsLocally(config) ? 'wrap' : 'stop',
      dropout: call.training ? config.local_attention_probs_dropout_prob : 0,
      seed: seedOf(call, this.index, 'attention'),
      ...(call.mask && { mask: call.mask }),
    });
    return { out };
  }
}

/** Whether the ends of a sequence see each other in local layers: a decoder's have nothing to see there. */
export function wrapsLocally({ is_decoder, local_boundary, attn_layers }: ReformerConfig): boolean {
  return attn_layers.includes('local') && !is_decoder && local_boundary === 'wrap';
}
