import { at, type Letters, type Numbers } from './shape.js';

export interface HashInputs {
  /** `[B, H, L, D]` */
  readonly qk: Numbers;
  /** `[heads, D, R, Σf/2]`, heads = H or 1. */
  readonly rotations: Numbers;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Numbers;
}

export interface Hashed {
  /** `[B, H, R, L]`, N for padding. */
  readonly buckets: Int32Array;
  /**
   * How far the runner-up of `[y, −y]` was behind, in units of |q|: what rounding must reach to
   * change the bucket. Infinite for a zero vector, whose ties are exact.
   */
  readonly margins: Float64Array;
}

/** The columns y of a vector q, in round r of head h. */
export type ColumnsOf = (q: readonly number[], h: number, r: number) => readonly number[];

type Sizes = Omit<Letters, 'E'>;

/** Bucket = index of the first maximum of `[y, −y]`, y = q·M, by slices of y for factored buckets. */
export function hash(
  { qk, rotations, mask }: HashInputs,
  shape: Sizes,
  R: number,
  factors: readonly number[],
): Hashed {
  const { D } = shape;
  const F = factors.reduce((sum, f) => sum + f / 2, 0);
  const heads = rotations.length / (D * R * F);
  const columnsOf: ColumnsOf = (q, h, r) => {
    const head = heads === 1 ? 0 : h;
    return Array.from({ length: F }, (_, column) =>
      q.reduce((sum, x, d) => sum + x * at(rotations, ((head * D + d) * R + r) * F + column), 0),
    );
  };
  return hashBy(columnsOf, qk, mask, shape, R, factors);
}

/** The hash by columns of any kind, which should be about as large as those of a Gaussian rotation. */
export function hashBy(
  columnsOf: ColumnsOf,
  qk: Numbers,
  mask: Numbers | undefined,
  { B, H, L, D }: Sizes,
  R: number,
  factors: readonly number[],
): Hashed {
  const N = factors.reduce((product, f) => product * f, 1);
  const buckets = new Int32Array(B * H * R * L);
  const margins = new Float64Array(B * H * R * L);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let r = 0; r < R; r++) {
        for (let l = 0; l < L; l++) {
          const q = Array.from({ length: D }, (_, d) => at(qk, ((b * H + h) * L + l) * D + d));
          const { bucket, margin } = choose(columnsOf(q, h, r), factors, Math.hypot(...q));
          const padded = mask !== undefined && at(mask, b * L + l) === 0;
          const index = ((b * H + h) * R + r) * L + l;
          buckets[index] = padded ? N : bucket;
          margins[index] = padded ? Number.POSITIVE_INFINITY : margin;
        }
      }
    }
  }
  return { buckets, margins };
}

function choose(columns: readonly number[], factors: readonly number[], length: number) {
  let bucket = 0;
  let stride = 1;
  let firstColumn = 0;
  let margin = Number.POSITIVE_INFINITY;
  for (const f of factors) {
    const y = columns.slice(firstColumn, firstColumn + f / 2);
    const both = [...y, ...y.map((x) => -x)];
    const best = both.indexOf(Math.max(...both));
    const second = Math.max(...both.filter((_, i) => i !== best));
    if (length > 0) {
      margin = Math.min(margin, (at(both, best) - second) / length);
    }
    bucket += best * stride;
    stride *= f;
    firstColumn += f / 2;
  }
  return { bucket, margin };
}
