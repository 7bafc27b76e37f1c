export { type CrossPolytopeOptions, crossPolytope } from '../hashing/crossPolytope.js';
export type {
  FamilyConfig,
  FamilyWeights,
  HashFamily,
  Rows,
  VectorFamily,
} from '../hashing/family.js';
export { type HyperplaneOptions, hyperplanes, packBits } from '../hashing/hyperplanes.js';
export { hadamardTransform } from '../hashing/transform.js';
export { BinaryIndex } from './BinaryIndex.js';
export { BruteForceIndex } from './BruteForceIndex.js';
export { codesWithin, LshIndex } from './LshIndex.js';
export { loadIndex, type SavedIndex } from './load.js';
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
