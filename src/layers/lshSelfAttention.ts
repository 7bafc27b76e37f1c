import type { Tensor } from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { predictCost } from '../attention/cost.js';
import { denseAttention } from '../attention/dense/denseAttention.js';
import { lshAttention } from '../attention/lshAttention.js';
import { DEFAULTS, type LshAttentionOptions } from '../attention/options.js';
import {
  type Call,
  type Config,
  givenOptions,
  ProjectedAttention,
  type ProjectedAttentionArgs,
} from './projected.js';

/** The options of {@link lshAttention} that are not tensors. */
export type LshLayerOptions = Omit<LshAttentionOptions, 'mask' | 'rotations' | 'hash' | 'buckets'>;

/**
 * Configuration of {@link LSHSelfAttention} and {@link DenseSelfAttention}: tfjs's own, Keras's names for
 * the projections, and the options of {@link lshAttention}.
 */
export interface LSHSelfAttentionArgs extends ProjectedAttentionArgs, LshLayerOptions {
  /**
   * `'dense'` attends exactly, by {@link denseAttention}, and the options of the hash have no effect;
   * `'auto'` takes at every call what {@link predictCost} says is cheaper for its length, as
   * {@link LSHSelfAttention.attentionAt} tells. @default 'lsh'
   */
  attention?: 'lsh' | 'dense' | 'auto';
}

const ATTENTIONS = ['lsh', 'dense', 'auto'] as const;

const OPTIONS: Record<keyof LshLayerOptions, true> = {
  numHashes: true,
  numBuckets: true,
  chunkLength: true,
  chunksBefore: true,
  chunksAfter: true,
  causal: true,
  window: true,
  duplicates: true,
  roundBoundary: true,
  acrossBuckets: true,
  scale: true,
  dropout: true,
  storage: true,
  rotation: true,
  seed: true,
};

/**
 * Self-attention by {@link lshAttention}: `[batch, length, features]` → `[batch, length, outputDim]`. One
 * projection makes queries and keys, one the values, one the output.
 *
 * In training every step hashes and drops anew, by seeds that follow from `seed`; outside it the seed is
 * `seed` itself and nothing is dropped. Give each layer of a model its own `seed`.
 *
 * `mask` comes from a masking layer before it, or by `apply(x, { mask })`: `[batch, length]`, true = attend.
 */
export class LSHSelfAttention extends ProjectedAttention {
  /** The name under which models are saved with it. */
  static className = 'LSHSelfAttention';
  private readonly attention: (typeof ATTENTIONS)[number];
  private options: LshLayerOptions;

  /** @throws RangeError or TypeError naming the argument, its rule and a way out. */
  constructor(args: LSHSelfAttentionArgs) {
    super(args, ['query_key'], { ...OPTIONS, attention: true });
    this.attention = this.door.oneOf('attention', args.attention ?? 'lsh', ATTENTIONS);
    this.options = this.checked({ ...DEFAULTS, ...givenOptions(args, OPTIONS) });
  }

  /** R, which may change between calls: train with 4 rounds, evaluate with 8. */
  get numHashes(): number {
    return this.options.numHashes as number;
  }

  /** @throws RangeError for no integer from 1 to 1024. */
  set numHashes(numHashes: number) {
    this.options = this.checked({ ...this.options, numHashes });
  }

  /** What a token sees in a round; may change between calls. */
  get window(): NonNullable<LshLayerOptions['window']> {
    return this.options.window as NonNullable<LshLayerOptions['window']>;
  }

  /** @throws RangeError for what is neither `'chunk'` nor `'bucket'`. */
  set window(window: NonNullable<LshLayerOptions['window']>) {
    this.options = this.checked({ ...this.options, window });
  }

  /** The attention that a call of `batch` sequences of `length` tokens takes, on the present backend. */
  attentionAt(length: number, batch = 1): 'lsh' | 'dense' {
    if (this.attention !== 'auto') {
      return this.attention;
    }
    const { numHeads: H, keyDim: D, valueDim: E, options } = this;
    return predictCost({ B: batch, H, L: length, D, E }, options).cheaper;
  }

  private checked(options: LshLayerOptions): LshLayerOptions {
    const { chunkLength = 1, chunksBefore = 0, chunksAfter = 0, roundBoundary } = options;
    // A length that suits the options: what is wrong with them is wrong at every length.
    const wraps =
      roundBoundary === 'wrap' && [chunkLength, chunksBefore, chunksAfter].every(Number.isInteger);
    const L = wraps ? chunkLength * Math.max(1, chunksBefore, chunksAfter) : 1;
    this.door.settings({ B: 1, H: this.numHeads, L, D: this.keyDim, E: this.valueDim }, options);
    return options;
  }

  protected get baseSeed(): number {
    return this.options.seed as number;
  }

  protected attentionOptions({ mask, seed, training }: Call): LshAttentionOptions {
    const dropout = training ? this.options.dropout : 0;
    return { ...this.options, seed, dropout, ...(mask && { mask }) };
  }

  protected attend([qk]: readonly Tensor[], v: Tensor, call: Call): Tensor {
    const [batch, , length] = v.shape as [number, number, number, number];
    const options = this.attentionOptions(call);
    if (this.attentionAt(length, batch) === 'lsh') {
      return lshAttention(qk as Tensor, v, options);
    }
    const { causal, mask, scale, dropout, seed } = options;
    return denseAttention(qk as Tensor, v, { causal, mask, scale, dropout, seed });
  }

  /** The arguments of the constructor, as plain JSON. */
  override getConfig(): Config {
    return { ...super.getConfig(), ...(this.options as Config), attention: this.attention };
  }
}
serialization.registerClass(LSHSelfAttention);

/** A {@link LSHSelfAttention}, in the manner of `tf.layers`. @throws RangeError or TypeError naming the argument. */
export function lshSelfAttention(args: LSHSelfAttentionArgs): LSHSelfAttention {
  return new LSHSelfAttention(args);
}
