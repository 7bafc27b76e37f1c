import type { Tensor } from '@tensorflow/tfjs-core';
import type { VectorFamily } from '../hashing/family.js';

/**
 * Options of {@link lshAttention}. Letters: B batch, H heads, L length, D key depth, R hash rounds,
 * N buckets, C chunk length, P and A chunks before and after.
 */
export interface LshAttentionOptions {
  /** R, the number of hash rounds: an integer from 1 to 1024. More rounds come closer to dense attention. @default 4 */
  readonly numHashes?: number;
  /**
   * N, the number of buckets of a round: an even integer from 2 up, or a list of them whose product
   * counts (factored buckets: a cheaper hash). At most 2^20 in all.
   * @default about 2·L/C, a power of two, factored when it is large
   */
  readonly numBuckets?: number | readonly number[];
  /** C, the tokens of a chunk: an integer from 1 up. @default 64 */
  readonly chunkLength?: number;
  /** P, how many chunks before its own a token sees: an integer from 0 up. @default 1 */
  readonly chunksBefore?: number;
  /** A, how many chunks after its own a token sees: an integer from 0 up. @default 0 */
  readonly chunksAfter?: number;
  /** Whether a token sees no later token. @default false */
  readonly causal?: boolean;
  /** `[B, L]`, bool or int32, true = attend. A padded token is seen by none and returns its own v. @default none */
  readonly mask?: Tensor;
  /**
   * What a token sees in a round: its own and its neighbouring chunks of the sorted row (`'chunk'`, the
   * Reformer), or its whole bucket, however long (`'bucket'`). With `causal`, the output at a token
   * depends on the tokens up to it alone in `'bucket'` mode only: in `'chunk'` mode a later token moves
   * the edges of the chunks. `'bucket'` has no use for `chunksBefore`, `chunksAfter` and `acrossBuckets`.
   * @default 'chunk'
   */
  readonly window?: 'chunk' | 'bucket';
  /**
   * A key seen in several rounds counts once (`'correct'`: the result is the softmax over the union
   * of the rounds, and converges to dense attention) or once a round (`'count'`: trax, Hugging Face).
   * @default 'correct'
   */
  readonly duplicates?: 'correct' | 'count';
  /**
   * Windows end with their round (`'stop'`), or run on from each round into the next (`'wrap'`, as
   * released checkpoints were trained; needs `duplicates: 'count'` and L a multiple of C).
   * @default 'stop'
   */
  readonly roundBoundary?: 'stop' | 'wrap';
  /** Whether a token sees tokens of other buckets in its window. @default true */
  readonly acrossBuckets?: boolean;
  /** Factor of the logits: a number from 1e-37 to 1e18, or `'1/sqrt(D)'`. @default 1 */
  readonly scale?: Scale;
  /**
   * What turns the vectors before they are hashed: `'gaussian'`, a random matrix, costs D·Σf/2 a token and
   * round (f are the factors of `numBuckets`); `'hadamard'`, random signs and fast Hadamard transforms, three
   * times over, costs D·log D for every D columns and next to no memory (Andoni et al. 2015, arXiv
   * 1509.02897). Dense vectors of a depth from 32 up share buckets as often with either; shallower ones share
   * them less often, and sparse ones tie.
   * @default 'gaussian'
   */
  readonly rotation?: 'gaussian' | 'hadamard';
  /**
   * Probability, from 0 to below 1, with which a pair's weight is dropped; those kept are scaled by
   * 1/(1−dropout). Which are dropped depends on `seed`. A query's last resort, its own v, is never dropped.
   * @default 0
   */
  readonly dropout?: number;
  /**
   * How rows of `qk` and `v` lie in memory while they are attended to: `'float16'` halves what is read, where the
   * `webgpu` backend's device has f16 (see `useOwnDevice`), and has no effect elsewhere. Numbers are rounded to 11
   * bits and cut at ±65504; sums, the hash and gradients stay float32. @default 'float32'
   */
  readonly storage?: 'float32' | 'float16';
  /** Seed of the rotations and of dropout: an unsigned 32-bit integer. The same seed gives the same buckets. @default 0 */
  readonly seed?: number;
  /** `[H or 1, D, R, Σf/2]` float32, in place of a draw from `seed`; with `rotation: 'gaussian'` alone. */
  readonly rotations?: Tensor;
  /**
   * A family of hash functions for vectors of D numbers, such as `hyperplanes(…)` of `tfjs-lsh-attention/search`, in
   * place of the random rotations: its tables are the rounds and its codes the buckets. `numHashes`, `numBuckets`,
   * `rotation`, `rotations` and `buckets` are then left out.
   */
  readonly hash?: VectorFamily;
  /**
   * `[B, H, R, L]` int32 in 0 … N, N (in every round) for padding, in place of the hash; see
   * {@link lshBuckets}. Tokens are sorted by them as they are: one that `mask` alone pads keeps its place.
   */
  readonly buckets?: Tensor;
}

/** A factor of the logits; the words stand for one over the square root of the key depth. */
export type Scale = number | '1/sqrt(D)';

/** Options of {@link denseAttention}. */
export interface DenseAttentionOptions {
  /** Whether a token sees no later token. @default false */
  readonly causal?: boolean;
  /** `[B, L]`, bool or int32, true = attend. @default none */
  readonly mask?: Tensor;
  /** Factor of the logits: a number from 1e-37 to 1e18, or `'1/sqrt(D)'`. @default 1 */
  readonly scale?: Scale;
  /** The share of attention weights that is dropped, in [0, 1); those kept grow by 1/(1 − share). @default 0 */
  readonly dropout?: number;
  /** Seed of the dropout: an unsigned 32-bit integer. @default 0 */
  readonly seed?: number;
}

/** Options of {@link scaledDotProductAttention}. */
export interface ScaledDotProductOptions {
  /** Whether a query sees no later key. The last query stands beside the last key: query i sees keys up to Lk − L + i. @default false */
  readonly causal?: boolean;
  /**
   * bool or int32, true = attend: `[B, Lk]`, which keys are seen; or `[B, H, L, Lk]`, which pairs are, where
   * each of the first three axes may be 1.
   * @default none
   */
  readonly mask?: Tensor;
  /** Factor of the logits: a number from 1e-37 to 1e18, or `'1/sqrt(D)'`. @default '1/sqrt(D)' */
  readonly scale?: Scale;
  /** The share of attention weights that is dropped, in [0, 1); those kept grow by 1/(1 − share). @default 0 */
  readonly dropout?: number;
  /** Seed of the dropout: an unsigned 32-bit integer. @default 0 */
  readonly seed?: number;
}

/** Options of {@link localAttention}. */
export interface LocalAttentionOptions {
  /** C, the tokens of a chunk: an integer from 1 up. @default 64 */
  readonly chunkLength?: number;
  /** P, how many chunks before its own a token sees: an integer from 0 up. @default 1 */
  readonly chunksBefore?: number;
  /** A, how many chunks after its own a token sees: an integer from 0 up. @default 0 */
  readonly chunksAfter?: number;
  /**
   * Whether the first chunk and the last are neighbours: not (`'stop'`), or (`'wrap'`, as transformers has it; L
   * beyond one chunk must be a multiple of C). A pair that is seen from both sides counts twice.
   * @default 'stop'
   */
  readonly boundary?: 'stop' | 'wrap';
  /** Whether a token sees no later token. @default false */
  readonly causal?: boolean;
  /** `[B, L]`, bool or int32, true = attend. A padded token is seen by none and returns its own v. @default none */
  readonly mask?: Tensor;
  /** Factor of the logits: a number from 1e-37 to 1e18, or `'1/sqrt(D)'`. @default '1/sqrt(D)' */
  readonly scale?: Scale;
  /** The share of attention weights that is dropped, in [0, 1); those kept grow by 1/(1 − share). @default 0 */
  readonly dropout?: number;
  /** Seed of the dropout: an unsigned 32-bit integer. @default 0 */
  readonly seed?: number;
}

/** The defaults that do not depend on the input's shape. */
export const DEFAULTS = {
  numHashes: 4,
  chunkLength: 64,
  chunksBefore: 1,
  chunksAfter: 0,
  causal: false,
  window: 'chunk',
  duplicates: 'correct',
  roundBoundary: 'stop',
  acrossBuckets: true,
  scale: 1,
  rotation: 'gaussian',
  dropout: 0,
  storage: 'float32',
  seed: 0,
} as const satisfies LshAttentionOptions;

/** The log-sum-exp of a query that sees no key but itself: its output is its own v. */
export const NOTHING_SEEN = -1e38;

/** Named sets of options to spread into a call. */
export const presets = {
  /** What trax and Hugging Face compute, for checkpoints trained there. */
  reformer: {
    window: 'chunk',
    duplicates: 'count',
    roundBoundary: 'wrap',
    acrossBuckets: true,
    scale: 1,
  },
  /** The equations of the Reformer paper (arXiv 2001.04451). */
  paper: {
    window: 'chunk',
    duplicates: 'correct',
    roundBoundary: 'stop',
    acrossBuckets: false,
    scale: '1/sqrt(D)',
  },
} as const satisfies Record<string, LshAttentionOptions>;
