import type { MinHashOptions } from '../hashing/minhash/options.js';
import type { Banding } from './banding.js';
import type { FilterOptions } from './options.js';

/** Options of a MinHashLsh. */
export interface MinHashLshOptions extends MinHashOptions {
  /** The Jaccard similarity from which sets should be found: above 0, below 1. @default 0.8 */
  readonly threshold?: number;
  /**
   * How much a pair that is missed weighs, and 1 less that how much one that is compared in vain: from 0 to below 1. At 0.5
   * bands and rows are those of datasketch. @default 0.95
   */
  readonly missWeight?: number;
  /**
   * Whether the sets themselves are kept, and candidates compared exactly: what is found is then at or above the
   * threshold, and distances are exact. @default false
   */
  readonly verify?: boolean;
}

/** Options of a query for similar sets. */
export interface SetQueryOptions extends FilterOptions {
  /** Sets asked for. @default 10 */
  readonly k?: number;
}

/** Options of a query for all sets that are similar enough. */
export interface SetRangeOptions extends FilterOptions {
  /** The largest distance 1 − J, included. @default 1 − `threshold`; of sets farther away fewer are found than there are */
  readonly radius?: number;
}

/** Options of `tune`. */
export interface SetTuneOptions {
  /** The probability with which a set at the threshold should be found: from 0 to below 1. More similar ones are found more often. */
  readonly targetRecall: number;
}

/** What `tune` chose. */
export interface SetTuneResult extends Banding {
  /** The probability with which a set at the threshold is found. */
  readonly recall: number;
}

/** Pairs of similar sets. */
export interface PairResult {
  /** The id of each pair's set that came first. */
  readonly first: Int32Array;
  /** The id of the other. */
  readonly second: Int32Array;
  /** Exact with `verify`, else estimated. */
  readonly similarities: Float64Array;
  /** Pairs that shared a band. */
  readonly candidates: number;
}
