/** What takes part in the suite `search`. */

/** Vectors, queries, and how hash tables are laid out for them. */
export interface Data {
  readonly name: string;
  readonly D: number;
  readonly rows: Float32Array;
  readonly queries: Float32Array;
  /** Other queries of their kind, for indexes to be tuned with. */
  readonly tuning: Float32Array;
  /** Bits of a code, corners of a code, tables, and what a query visits. */
  readonly hashing: {
    readonly bits: number;
    readonly corners: readonly number[];
    readonly tables: number;
    readonly effort: { readonly probes: number; readonly maxCandidates?: number };
  };
}

/** An index as the bench sees it: built once, then asked all queries; without `build` it is that of the one before. */
export interface Contender {
  readonly name: string;
  build?(data: Data): Promise<{ readonly bytes?: number }>;
  /** The ids `[queries, k]`, and how many vectors a query was compared with, where that is known. */
  query(data: Data, k: number): Promise<{ readonly ids: Int32Array; readonly candidates?: number }>;
}
