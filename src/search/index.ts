export type {
  FamilyConfig,
  FamilyWeights,
  HashFamily,
  Rows,
  VectorFamily,
} from '../hashing/family.js';
