import type { Tensor } from '@tensorflow/tfjs-core';
import type { Rows, VectorFamily } from '../hashing/family.js';

/**
 * How far vectors are apart; the smaller, the nearer. `'euclidean'`: |x − q|. `'cosine'`: 1 − cos, from 0 to 2, and 1
 * beside a zero vector. `'innerProduct'`: −⟨x, q⟩, by exact search alone.
 */
export type Metric = 'euclidean' | 'cosine' | 'innerProduct';

/** How an index keeps its vectors. Those of fewer bits are rounded when they come in. */
export type VectorStorage = 'float16' | 'float32' | 'float64';

/** Vectors row after row, or a float32 tensor `[n, D]`. */
export type VectorInput = Rows | Tensor;

/** Options of every index. */
export interface IndexOptions {
  /** Numbers of a vector: an integer from 1 up. */
  readonly D: number;
  /** @default 'euclidean' */
  readonly metric?: Metric;
  /** @default 'float32' */
  readonly storage?: VectorStorage;
}

/** Options of an index by hash codes. */
export interface HashIndexOptions extends IndexOptions {
  /** The hash functions, for vectors of D numbers. */
  readonly family?: VectorFamily;
  /**
   * Whether vectors are hashed less the mean of those that the index was built from: distances stay as they are, and
   * hyperplanes through the mean divide them more evenly than through the origin. @default true
   */
  readonly center?: boolean;
}

/** Which vectors count, of a query. */
export interface FilterOptions {
  /** Vectors for whose ids this is false are passed over. */
  readonly filter?: (id: number) => boolean;
}

/** How hard an index by hash codes looks: at most one of the first three. */
export interface EffortOptions {
  /** Codes visited in each table, the likeliest first: an integer from 1 to 2^20. */
  readonly probes?: number;
  /** Codes are visited that differ from the query's in at most so many bits. */
  readonly hammingRadius?: number;
  /** The least effort that reached this recall when the index was tuned; see `tune`. */
  readonly targetRecall?: number;
  /** Most vectors that are compared exactly, the likeliest first. */
  readonly maxCandidates?: number;
}

/** Options of a query. */
export interface QueryOptions extends FilterOptions, EffortOptions {
  /** Neighbours asked for. @default 10 */
  readonly k?: number;
}

/** Options of a range query. */
export interface RangeOptions extends FilterOptions, EffortOptions {
  /** The largest distance of a neighbour, included. */
  readonly radius: number;
}

/** The neighbours of n queries. */
export interface QueryResult {
  /** `[n, k]`, nearest first, of equals the one that came first; −1 where there are no more. */
  readonly ids: Int32Array;
  /** `[n, k]`; Infinity where there are no more. */
  readonly distances: Float64Array;
  /** `[n]`: vectors that were compared exactly. */
  readonly candidates: Int32Array;
  /** `[n]`: neighbours found, at most k. */
  readonly found: Int32Array;
  /** Whether every query found k neighbours. */
  readonly complete: boolean;
  /** Neighbours asked for. */
  readonly k: number;
}

/** All neighbours of n queries within a radius. */
export interface RangeResult {
  /** Nearest first, query after query. */
  readonly ids: Int32Array;
  /** As many. */
  readonly distances: Float64Array;
  /** `[n + 1]`: where the neighbours of each query begin. */
  readonly starts: Int32Array;
  /** `[n]`: vectors that were compared exactly. */
  readonly candidates: Int32Array;
}

/** Options of `tune`. */
export interface TuneOptions {
  /** The share of the k nearest neighbours that should be found: above 0, at most 1. */
  readonly targetRecall: number;
  /** @default 10 */
  readonly k?: number;
  /**
   * Queries to measure with: better where those to come are not like the vectors.
   *
   * @default up to 500 of the vectors themselves, each without itself
   */
  readonly queries?: VectorInput;
}

/** What `tune` found. */
export interface TuneResult {
  /**
   * The least effort that reached the target, or the most there is, as options of a query: `maxCandidates`, never fewer than
   * k, and `probes` of an LshIndex.
   */
  readonly effort: EffortOptions;
  /** Of the queries that it was measured with; that of others differs by about `error`. */
  readonly recall: number;
  /** The standard error of that recall. A target is taken to be reached if it lies one of them below. */
  readonly error: number;
  /** Vectors that a query was compared with, on average. */
  readonly candidates: number;
}

/** What every index tells of itself. */
export interface IndexStats {
  /** Vectors that can be found. */
  readonly rows: number;
  /** Vectors that were removed and still take room, until `compact`. */
  readonly removed: number;
  /** Bytes of vectors, ids, codes and tables. */
  readonly bytes: number;
}
