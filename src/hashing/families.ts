import { restoreCrossPolytope } from './crossPolytope.js';
import type { FamilyConfig, FamilyFactory, FamilyWeights, VectorFamily } from './family.js';
import { restoreHyperplanes } from './hyperplanes.js';
import { restoreLearned } from './learned/learnedFamily.js';

/** The factories of all families for vectors that an index can be saved with, by name. */
export const families: Readonly<Record<string, FamilyFactory<VectorFamily>>> = {
  crossPolytope: restoreCrossPolytope,
  hyperplanes: restoreHyperplanes,
  learned: restoreLearned,
};

/** The family of a name, or undefined if there is no such name. */
export function restoreFamily(
  name: string,
  config: FamilyConfig,
  weights: FamilyWeights,
): VectorFamily | undefined {
  if (typeof config !== 'object' || config === null) {
    throw new Error('its family has no configuration');
  }
  return Object.hasOwn(families, name) ? families[name]?.(config, weights) : undefined;
}
