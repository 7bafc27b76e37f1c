/** Step A of Graph Regularised Hashing: bits move towards those of the points with the same label. */

/** Points by their labels: the affinity S, in which points of one label are neighbours, themselves included. */
export interface Classes {
  /** The class of each point, 0 … count − 1. */
  readonly of: Int32Array;
  /** Points of each class. */
  readonly sizes: Int32Array;
}

export function classesOf(labels: ArrayLike<number>): Classes {
  const numbers = new Map<number, number>();
  const of = Int32Array.from(labels, (label) => {
    const known = numbers.get(label) ?? numbers.size;
    numbers.set(label, known);
    return known;
  });
  const sizes = new Int32Array(numbers.size);
  for (const one of of) {
    sizes[one] = (sizes[one] as number) + 1;
  }
  return { of, sizes };
}

/** How means over classes and bits are mixed. */
export type MixingRule = 'paper' | 'tutorial';

/**
 * Refined bits, from the latest and the first bits `[n, M]` of ±1 (Moran and Lavrenko, "Graph regularised hashing",
 * ECIR 2015). S·D⁻¹·L is the mean of L over a point's class, and sgn(0) = +1.
 *
 * - `'paper'`: sgn(α·S·D⁻¹·L + (1−α)·L0), equation 3.
 * - `'tutorial'`: sgn(α·sgn(S·D⁻¹·L) + (1−α)·L), as a well-known tutorial on learning to hash has it.
 */
export function refineBits(
  latest: Float32Array,
  first: Float32Array,
  { of, sizes }: Classes,
  alpha: number,
  rule: MixingRule = 'paper',
): Float32Array<ArrayBuffer> {
  const M = latest.length / of.length;
  const sums = new Float64Array(sizes.length * M);
  for (const [i, bit] of latest.entries()) {
    const at = (of[Math.floor(i / M)] as number) * M + (i % M);
    sums[at] = (sums[at] as number) + bit;
  }
  return Float32Array.from(first, (bit, i) => {
    const own = of[Math.floor(i / M)] as number;
    const sum = sums[own * M + (i % M)] as number;
    if (rule === 'tutorial') {
      return alpha * (sum >= 0 ? 1 : -1) + (1 - alpha) * (latest[i] as number) >= 0 ? 1 : -1;
    }
    // Times the class's size: sums of ±1 are whole numbers, and ties stay ties.
    return alpha * sum + (1 - alpha) * bit * (sizes[own] as number) >= 0 ? 1 : -1;
  });
}

/** The columns of `bits [n, M]` in which all points have the same bit. */
export function equalColumns(bits: Float32Array, M: number): number[] {
  return Array.from({ length: M }, (_, column) => column).filter((column) => {
    for (let i = column; i < bits.length; i += M) {
      if (bits[i] !== bits[column]) {
        return false;
      }
    }
    return true;
  });
}
