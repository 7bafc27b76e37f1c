import { type Hashed, hashBy } from './hash.js';
import { at, type Letters, type Numbers } from './shape.js';

export interface HadamardInputs {
  /** `[B, H, L, D]` */
  readonly qk: Numbers;
  /** `[H, R, K, 3, Dp]` of ±1. */
  readonly signs: Numbers;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Numbers;
}

/**
 * The hash by pseudo-random rotations: a block of columns is y = Hd·S3·Hd·S2·Hd·S1·q with an explicit
 * Hadamard matrix, q padded with zeros. Margins are in units of |q|, as if y were as large as a Gaussian
 * rotation's, which is 1/Dp of what the unnormalised transforms give.
 */
export function hadamardHash(
  { qk, signs, mask }: HadamardInputs,
  shape: Omit<Letters, 'E'>,
  R: number,
  factors: readonly number[],
): Hashed {
  const F = factors.reduce((sum, f) => sum + f / 2, 0);
  return hashBy(hadamardColumns(signs, { D: shape.D, R, F }), qk, mask, shape, R, factors);
}

/** The F columns of a vector in round r of head h, by `signs` of {@link HadamardInputs}. */
export function hadamardColumns(
  signs: Numbers,
  { D, R, F }: { readonly D: number; readonly R: number; readonly F: number },
): (q: readonly number[], h: number, r: number) => number[] {
  let matrix = [[1]];
  while (matrix.length < D) {
    matrix = doubled(matrix);
  }
  const Dp = matrix.length;
  const K = Math.ceil(F / Dp);
  return (q, h, r) => {
    const columns: number[] = [];
    for (let block = 0; block < K; block++) {
      let y = Array.from({ length: Dp }, (_, d) => q[d] ?? 0);
      for (let s = 0; s < 3; s++) {
        const first = (((h * R + r) * K + block) * 3 + s) * Dp;
        const flipped = y.map((x, d) => x * at(signs, first + d));
        y = matrix.map((row) => row.reduce((sum, m, d) => sum + m * at(flipped, d), 0));
      }
      columns.push(...y.map((x) => x / Dp));
    }
    return columns.slice(0, F);
  };
}

/** Sylvester's construction: [[M, M], [M, −M]]. */
function doubled(M: number[][]): number[][] {
  return [...M.map((row) => [...row, ...row]), ...M.map((row) => [...row, ...row.map((x) => -x)])];
}
