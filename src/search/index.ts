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
