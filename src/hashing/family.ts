import type { Tensor } from '@tensorflow/tfjs-core';

/** What a family is made from, as plain JSON. */
export type FamilyConfig = Readonly<Record<string, string | number | boolean | readonly number[]>>;

/** Numbers that a family cannot draw again from its config, by name. */
export type FamilyWeights = Readonly<Record<string, Float32Array | Float64Array | Int32Array | Uint32Array>>;

/** Vectors `[n, D]`, row after row. */
export type Rows = Float32Array | Float64Array;

/**
 * Hash functions that give things which are alike equal codes more often than others: locality-sensitive
 * hashing. A family never changes; `config` and `weights` make the same one again (see `restoreFamily`).
 */
export interface HashFamily<Input> {
  /** The key of its factory among the `families`. */
  readonly name: string;
  /** What it was made from. */
  readonly config: FamilyConfig;
  /** What `config` does not say. */
  readonly weights: FamilyWeights;
  /** Independent hash functions, each of which sorts things into buckets of its own. */
  readonly tables: number;
  /** The codes of all things in all tables, int32 `[tables, n]`. */
  hash(input: Input): Int32Array;
}

/** A family for vectors of D numbers, which can also hash tensors and name the codes next to a vector's own. */
export interface VectorFamily extends HashFamily<Rows> {
  /** Numbers of a vector. */
  readonly D: number;
  /** Codes lie in 0 … N−1. With N = 2^32 they are the int32 of the same 32 bits. */
  readonly N: number;
  /** Bits of a code, where each is a decision of its own and codes can be compared bit by bit; else 0. */
  readonly bits: number;
  /**
   * The same codes as a tensor, int32 `[tables, n]`, of rows `[n, D]` float32, by the current backend; the
   * caller's. Only projections within rounding of a tie may fall differently.
   */
  hashTensor(rows: Tensor): Tensor;
  /**
   * For one vector, the `count` likeliest codes of its neighbours in every table, its own first: int32
   * `[tables, min(count, N)]` (query-directed probing; Lv et al. 2007, "Multi-probe LSH").
   */
  probes(row: Rows, count: number): Int32Array;
}

/** Makes a family again from what it was made from. */
export type FamilyFactory<Family> = (config: FamilyConfig, weights: FamilyWeights) => Family;
