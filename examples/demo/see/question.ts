/** What the view See asks its worker. */
import type { LshAttentionOptions } from 'tfjs-lsh-attention';

/** Most tokens of a text: the values' depth is the number of tokens, and E ≤ 256. */
export const MOST_TOKENS = 256;

/** Queries that suit memories of a million words are too sharp for a page of them. */
export const SCALE = 0.4;

/** What the view's controls set. */
export type SeeOptions = Required<
  Pick<LshAttentionOptions, 'numHashes' | 'chunkLength' | 'causal' | 'window'>
> & { readonly numBuckets: number };

export interface SeeQuestion {
  /** A number for each token, the same for the same word. */
  readonly words: readonly number[];
  readonly options: SeeOptions;
}

export interface SeeAnswer {
  /** `[R, L]` */
  readonly buckets: Int32Array;
  /** `[R, L, L]`: what each token would give each other, if there were this round alone; 0 for those it does not see. */
  readonly rounds: Float32Array;
  /** `[L, L]`: what each token gives each other, in all rounds together. */
  readonly lsh: Float32Array;
  /** `[L, L]`: what it gives in dense attention. */
  readonly dense: Float32Array;
  /** `[L]`: the share of dense attention's mass that LSH attention saw. */
  readonly share: Float32Array;
}
