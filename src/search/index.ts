export { type CrossPolytopeOptions, crossPolytope } from '../hashing/crossPolytope.js';
export type {
  FamilyConfig,
  FamilyWeights,
  HashFamily,
  Rows,
  VectorFamily,
} from '../hashing/family.js';
export { type HyperplaneOptions, hyperplanes, packBits } from '../hashing/hyperplanes.js';
export { learnHash } from '../hashing/learned/learnHash.js';
export type { LearnHashOptions } from '../hashing/learned/options.js';
export type { MixingRule } from '../hashing/learned/refine.js';
export { MinHash } from '../hashing/minhash/MinHash.js';
export type { MinHashOptions } from '../hashing/minhash/options.js';
export type { MinHashScheme } from '../hashing/minhash/schemes.js';
export { minHashSignatures } from '../hashing/minhash/signatures.js';
export type { Token } from '../hashing/minhash/tokens.js';
export { hadamardTransform } from '../hashing/transform.js';
export { BinaryIndex } from './BinaryIndex.js';
export { BruteForceIndex } from './BruteForceIndex.js';
export type { Banding } from './banding.js';
export { jaccard } from './jaccard.js';
export { codesWithin, LshIndex } from './LshIndex.js';
export { loadIndex, type SavedIndex } from './load.js';
export { MinHashLsh } from './MinHashLsh.js';
export type {
  MinHashLshOptions,
  PairResult,
  SetQueryOptions,
  SetRangeOptions,
  SetTuneOptions,
  SetTuneResult,
} from './minHashOptions.js';
export type {
  EffortOptions,
  FilterOptions,
  HashIndexOptions,
  IndexOptions,
  IndexStats,
  Metric,
  QueryOptions,
  QueryResult,
  RangeOptions,
  RangeResult,
  TuneOptions,
  TuneResult,
  VectorInput,
  VectorStorage,
} from './options.js';
export type { TableStats } from './tables.js';
export { recallOf } from './tune.js';
