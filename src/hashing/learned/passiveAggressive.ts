/** An online classifier: every point corrects the weights just as far as it must. */
import { addScaled, type BitProblem, dot, shuffled } from './dualCoordinateDescent.js';

/** How often every point is shown. */
const PASSES = 5;

/**
 * Weights `[D]` of the passive-aggressive algorithm (Crammer et al. 2006, PA-I: no correction is longer than C), each
 * pass in an order of its own.
 */
export function learnPassiveAggressively(
  { x, D, y, C }: Omit<BitProblem, 'loss'>,
  seed: number,
): Float64Array {
  const w = new Float64Array(D);
  for (let pass = 0; pass < PASSES; pass++) {
    for (const i of shuffled(x.length / D, seed, pass)) {
      const sign = y[i] as number;
      const missing = 1 - sign * dot(x, i * D, w, 0, D);
      const size = dot(x, i * D, x, i * D, D);
      if (missing > 0 && size > 0) {
        addScaled(w, sign * Math.min(C, missing / size), x, i * D, D);
      }
    }
  }
  return w;
}
