import type { Rows } from './family.js';
import { hadamardShape, hadamardSigns, TRANSFORMS } from './hadamard.js';
import { gaussianRotations } from './rotations.js';
import { transformFlipped, transformInPlace } from './transform.js';

/** What turns vectors before their signs or largest parts are read. */
export interface Projection {
  readonly D: number;
  readonly columns: number;
  /** Writes y `[count, columns]` of `count` vectors from the `first` on. Zeros pass through as zeros. */
  project(rows: Rows, first: number, count: number, y: Float64Array): void;
  /** The same as a matrix `[D, columns]`, in float32. */
  matrix(): Float32Array;
}

/** The sizes of a projection: as attention's rotations, R rounds of F columns. */
export interface ProjectionShape {
  readonly D: number;
  readonly R: number;
  readonly F: number;
}

/** Columns drawn from N(0, 1): attention's rotations of one head. */
export function gaussianProjection(shape: ProjectionShape, seed: number): Projection {
  return matrixProjection(gaussianRotations({ H: 1, ...shape }, seed), shape.D);
}

/** The same, orthogonal and of unit length in groups of D: their signs are less alike (Ji et al. 2012, "Super-bit LSH"). */
export function orthogonalProjection(shape: ProjectionShape, seed: number): Projection {
  const { D, R, F } = shape;
  return matrixProjection(orthogonal(gaussianRotations({ H: 1, ...shape }, seed), D, R * F), D);
}

/** A projection by a matrix `[D, columns]`. */
export function matrixProjection(matrix: Rows, D: number): Projection {
  const columns = matrix.length / D;
  return {
    ...{ D, columns },
    matrix: () => Float32Array.from(matrix),
    project(rows, first, count, y) {
      y.fill(0, 0, count * columns);
      for (let row = 0; row < count; row++) {
        accumulate(rows, (first + row) * D, matrix, y.subarray(row * columns, (row + 1) * columns), D);
      }
    },
  };
}

/**
 * y += x·matrix for x of the `D` numbers of `rows` from `start` on, four rows of the matrix at a time: y is loaded and
 * stored a quarter as often.
 */
export function accumulate(rows: Rows, start: number, matrix: Rows, y: Float64Array, D: number): void {
  const columns = y.length;
  let d = 0;
  for (; d + 4 <= D; d += 4) {
    const a = rows[start + d] as number;
    const b = rows[start + d + 1] as number;
    const c = rows[start + d + 2] as number;
    const e = rows[start + d + 3] as number;
    if (a === 0 && b === 0 && c === 0 && e === 0) {
      continue;
    }
    const first = d * columns;
    for (let i = 0; i < columns; i++) {
      const at = first + i;
      y[i] =
        (y[i] as number) +
        a * (matrix[at] as number) +
        b * (matrix[at + columns] as number) +
        c * (matrix[at + 2 * columns] as number) +
        e * (matrix[at + 3 * columns] as number);
    }
  }
  for (; d < D; d++) {
    const a = rows[start + d] as number;
    for (let i = 0; i < columns; i++) {
      y[i] = (y[i] as number) + a * (matrix[d * columns + i] as number);
    }
  }
}

/** Gram and Schmidt's procedure on each group of D columns of a matrix `[D, columns]`. */
function orthogonal(matrix: Float32Array, D: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  const group: Float64Array[] = [];
  for (let column = 0; column < columns; column++) {
    const vector = Float64Array.from({ length: D }, (_, d) => matrix[d * columns + column] as number);
    if (column % D === 0) {
      group.length = 0;
    }
    for (const unit of group) {
      const along = dot(unit, vector);
      for (let d = 0; d < D; d++) {
        vector[d] = (vector[d] as number) - along * (unit[d] as number);
      }
    }
    const length = Math.sqrt(dot(vector, vector));
    group.push(vector.map((x) => x / length));
    for (let d = 0; d < D; d++) {
      result[d * columns + column] = (vector[d] as number) / length;
    }
  }
  return result;
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, d) => sum + x * (b[d] as number), 0);
}

/**
 * Writes to the first `width` numbers the sums of those that lie `width` apart, each times its sign from `first` on: their
 * transform is the beginning of the transform of all.
 */
function fold(values: Float64Array, signs: Float64Array, first: number, width: number): void {
  for (let i = 0; i < width; i++) {
    let sum = 0;
    for (let d = i; d < values.length; d += width) {
      sum += (values[d] as number) * (signs[first + d] as number);
    }
    values[i] = sum;
  }
}

/**
 * Columns by three rounds of random signs and Hadamard transforms: no matrix, and for Dp columns 3·Dp·log2(Dp)
 * additions, where a matrix takes D·Dp multiplications (Andoni et al. 2015, arXiv 1509.02897).
 */
export function hadamardProjection(shape: ProjectionShape, seed: number): Projection {
  const { D, R, F } = shape;
  const { Dp, K } = hadamardShape({ D, F });
  const signs = Float64Array.from(hadamardSigns({ H: 1, ...shape }, seed));
  const columns = R * F;
  const turned = new Float64Array(Dp);
  const project = (rows: Rows, first: number, count: number, y: Float64Array) => {
    for (let row = 0; row < count; row++) {
      for (let block = 0; block < R * K; block++) {
        turned.set(rows.subarray((first + row) * D, (first + row + 1) * D));
        turned.fill(0, D);
        const column = (block % K) * Dp;
        const width = Math.min(Dp, F - column);
        let diagonal = block * TRANSFORMS * Dp;
        for (let s = 1; s < TRANSFORMS; s++, diagonal += Dp) {
          transformFlipped(turned, signs, diagonal);
        }
        const length = 2 ** Math.ceil(Math.log2(width));
        fold(turned, signs, diagonal, length);
        transformInPlace(turned, length);
        y.set(turned.subarray(0, width), row * columns + Math.floor(block / K) * F + column);
      }
    }
  };
  return {
    ...{ D, columns, project },
    matrix() {
      // As large as a Gaussian one's: Dp times the unit length of three unnormalised transforms.
      const units = new Float64Array(D * D);
      for (let d = 0; d < D; d++) {
        units[d * D + d] = 1 / Dp;
      }
      const y = new Float64Array(D * columns);
      project(units, 0, D, y);
      return Float32Array.from(y);
    },
  };
}
