import type { Tensor } from '@tensorflow/tfjs-core';
import type { LshAttentionOptions } from '../options.js';

/** The options of {@link lshAttention} that a cache takes, in the same sense. */
type SharedOptions = Pick<
  LshAttentionOptions,
  'numHashes' | 'numBuckets' | 'chunkLength' | 'duplicates' | 'scale' | 'rotation' | 'seed' | 'rotations'
>;

/**
 * Options of {@link LshCache}. `numBuckets` or `maxLength` must be given: the number of buckets
 * cannot depend on a length that is not known yet.
 */
export interface LshCacheOptions extends SharedOptions {
  /**
   * N, the number of buckets of a round: an even integer from 2 up, or a list of them whose product counts.
   * @default what `lshAttention` takes for `maxLength` tokens
   */
  readonly numBuckets?: number | readonly number[];
  /** C, on which the default of `numBuckets` depends, and nothing else. @default 64 */
  readonly chunkLength?: number;
  /** The most tokens that the cache takes in, from 1 to 2^24. @default 2^24 */
  readonly maxLength?: number;
}

/** Options of {@link LshCache.append}. */
export interface LshCacheAppendOptions {
  /** `[B, T]`, bool or int32, true = attend. A padded token is seen by none and returns its own v. @default none */
  readonly mask?: Tensor;
}
