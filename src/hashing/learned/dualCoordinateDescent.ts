/** Linear classifiers one after the other, point by point, in float64: the reference that Newton's method is held to. */
import { philox } from '../random.js';

/** Points, row after row, and what is to be told of them. */
export interface BitProblem {
  /** `[n, D]` */
  readonly x: Float32Array | Float64Array;
  readonly D: number;
  /** `[n]`, ±1. */
  readonly y: ArrayLike<number>;
  readonly C: number;
  readonly loss: 'squaredHinge' | 'hinge';
}

/** Names the random stream of the orders. */
const STREAM = 0x6f7264;
const MOST_PASSES = 1000;

/**
 * The w `[D]` that minimises ½|w|² + C·Σ max(0, 1 − y·w·x)², or the same with the hinge itself, by descent in the
 * coordinates of the dual (Hsieh et al. 2008, "A dual coordinate descent method for large-scale linear SVM",
 * without shrinking). Done when the slopes of a pass lie within `tolerance` of each other.
 */
export function solveByDualCoordinates(
  { x, D, y, C, loss }: BitProblem,
  tolerance: number,
  seed: number,
): Float64Array {
  const n = x.length / D;
  const w = new Float64Array(D);
  const alphas = new Float64Array(n);
  const [diagonal, bound] = loss === 'hinge' ? [0, C] : [1 / (2 * C), Number.POSITIVE_INFINITY];
  // A point at zero pulls nowhere.
  const curvatures = Float64Array.from({ length: n }, (_, i) => diagonal + dot(x, i * D, x, i * D, D) || 1);
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    let [most, least] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const i of shuffled(n, seed, pass)) {
      const sign = y[i] as number;
      const alpha = alphas[i] as number;
      const slope = sign * dot(x, i * D, w, 0, D) - 1 + diagonal * alpha;
      const projected = alpha === 0 ? Math.min(slope, 0) : alpha === bound ? Math.max(slope, 0) : slope;
      most = Math.max(most, projected);
      least = Math.min(least, projected);
      const next = Math.min(bound, Math.max(0, alpha - slope / (curvatures[i] as number)));
      alphas[i] = next;
      const change = (next - alpha) * sign;
      if (change !== 0) {
        addScaled(w, change, x, i * D, D);
      }
    }
    if (most - least <= tolerance) {
      break;
    }
  }
  return w;
}

/** 0 … n − 1 in an order that depends on seed and pass (Fisher and Yates). */
export function shuffled(n: number, seed: number, pass: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const [word] = philox([i, pass, 0, 0], [seed, STREAM]);
    const j = word % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

type Numbers = Float32Array | Float64Array;

/** w += scale·x. */
export function addScaled(w: Float64Array, scale: number, x: Numbers, start: number, D: number): void {
  for (let d = 0; d < D; d++) {
    w[d] = (w[d] as number) + scale * (x[start + d] as number);
  }
}

export function dot(a: Numbers, aStart: number, b: Numbers, bStart: number, D: number): number {
  let sum = 0;
  for (let d = 0; d < D; d++) {
    sum += (a[aStart + d] as number) * (b[bStart + d] as number);
  }
  return sum;
}
