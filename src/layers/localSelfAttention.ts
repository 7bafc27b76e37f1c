import type { Tensor } from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { localAttention } from '../attention/localAttention.js';
import { DEFAULTS, type LocalAttentionOptions } from '../attention/options.js';
import {
  type Call,
  type Config,
  givenOptions,
  ProjectedAttention,
  type ProjectedAttentionArgs,
} from './projected.js';

/** The options of {@link localAttention} that are not tensors. */
export type LocalLayerOptions = Omit<LocalAttentionOptions, 'mask'>;

/**
 * Configuration of {@link LocalSelfAttention}: tfjs's own, Keras's names for the projections, and the
 * options of {@link localAttention}.
 */
export interface LocalSelfAttentionArgs extends ProjectedAttentionArgs, LocalLayerOptions {}

const OPTIONS: Record<keyof LocalLayerOptions, true> = {
  chunkLength: true,
  chunksBefore: true,
  chunksAfter: true,
  boundary: true,
  causal: true,
  scale: true,
  dropout: true,
  seed: true,
};

/**
 * Self-attention by {@link localAttention}, to neighbouring positions: `[batch, length, features]` →
 * `[batch, length, outputDim]`. Queries, keys and values have a projection each.
 *
 * Weights are dropped in training alone, in every step others, by seeds that follow from `seed`.
 *
 * `mask` comes from a masking layer before it, or by `apply(x, { mask })`: `[batch, length]`, true = attend.
 */
export class LocalSelfAttention extends ProjectedAttention {
  /** The name under which models are saved with it. */
  static className = 'LocalSelfAttention';
  private readonly options: LocalLayerOptions;

  constructor(args: LocalSelfAttentionArgs) {
    super(args, ['query', 'key'], OPTIONS);
    const { chunkLength, chunksBefore, chunksAfter, causal, seed } = DEFAULTS;
    const defaults = {
      chunkLength,
      chunksBefore,
      chunksAfter,
      boundary: 'stop',
      causal,
      scale: '1/sqrt(D)',
      dropout: 0,
      seed,
    } as const;
    this.options = { ...defaults, ...givenOptions(args, OPTIONS) };
    this.door.localSettings({ B: 1, L: 1, D: this.keyDim }, this.options);
  }

  protected get baseSeed(): number {
    return this.options.seed as number;
  }

  protected attend([q, k]: readonly Tensor[], v: Tensor, { mask, training, seed }: Call): Tensor {
    const dropout = training ? this.options.dropout : 0;
    return localAttention(q as Tensor, k as Tensor, v, { ...this.options, seed, dropout, mask });
  }

  /** The arguments of the constructor, as plain JSON. */
  override getConfig(): Config {
    return { ...super.getConfig(), ...(this.options as Config) };
  }
}
serialization.registerClass(LocalSelfAttention);

/** A {@link LocalSelfAttention}, in the manner of `tf.layers`. @throws RangeError or TypeError naming the argument. */
export function localSelfAttention(args: LocalSelfAttentionArgs): LocalSelfAttention {
  return new LocalSelfAttention(args);
}
