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

/**
 * sgn(α·S·D⁻¹·L + (1−α)·L0) with sgn(0) = +1, for bits L and L0 `[n, M]` of ±1 (Moran and Lavrenko, "Graph
 * regularised hashing", ECIR 2015, equation 3). S·D⁻¹·L is the mean over a point's class.
 */
export function refineBits(
  bits: Float32Array,
  first: Float32Array,
  { of, sizes }: Classes,
  alpha: number,
): Float32Array<ArrayBuffer> {
  const M = bits.length / of.length;
  const sums = new Float64Array(sizes.length * M);
  for (const [i, bit] of bits.entries()) {
    const at = (of[Math.floor(i / M)] as number) * M + (i % M);
    sums[at] = (sums[at] as number) + bit;
  }
  return Float32Array.from(first, (bit, i) => {
    const one = of[Math.floor(i / M)] as number;
    // Times the class's size: sums of ±1 are whole numbers, and ties stay ties.
    const mixed = alpha * (sums[one * M + (i % M)] as number) + (1 - alpha) * bit * (sizes[one] as number);
    return mixed >= 0 ? 1 : -1;
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
