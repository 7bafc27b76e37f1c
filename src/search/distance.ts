import type { Rows } from '../hashing/family.js';
import type { Metric } from './options.js';

/**
 * Sums of products in eight interleaved parts, added pairwise: shorter chains of additions, smaller errors, and the
 * order in which NumPy adds up 128 numbers.
 */

/** Numbers between two looks at whether a sum is beyond its bound. */
const STRETCH = 64;

/** |x − y|² of the `D` numbers from `xStart` and `yStart` on; where it is beyond `bound`, a part of it that is so too. */
export function squaredDistance(
  x: Rows,
  xStart: number,
  y: Rows,
  yStart: number,
  D: number,
  bound = Number.POSITIVE_INFINITY,
): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let e = 0;
  let f = 0;
  let g = 0;
  let h = 0;
  const whole = D - (D % 8);
  for (let i = 0; i < whole; i += 8) {
    // Squares make no sum smaller, rounded or not.
    if (i % STRETCH === 0 && a + b + (c + d) + (e + f + (g + h)) > bound) {
      break;
    }
    const p = xStart + i;
    const q = yStart + i;
    const da = (x[p] as number) - (y[q] as number);
    const db = (x[p + 1] as number) - (y[q + 1] as number);
    const dc = (x[p + 2] as number) - (y[q + 2] as number);
    const dd = (x[p + 3] as number) - (y[q + 3] as number);
    const de = (x[p + 4] as number) - (y[q + 4] as number);
    const df = (x[p + 5] as number) - (y[q + 5] as number);
    const dg = (x[p + 6] as number) - (y[q + 6] as number);
    const dh = (x[p + 7] as number) - (y[q + 7] as number);
    a += da * da;
    b += db * db;
    c += dc * dc;
    d += dd * dd;
    e += de * de;
    f += df * df;
    g += dg * dg;
    h += dh * dh;
  }
  let sum = a + b + (c + d) + (e + f + (g + h));
  for (let i = whole; i < D; i++) {
    const difference = (x[xStart + i] as number) - (y[yStart + i] as number);
    sum += difference * difference;
  }
  return sum;
}

/** ⟨x, y⟩, likewise. */
export function innerProduct(x: Rows, xStart: number, y: Rows, yStart: number, D: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const whole = D - (D % 4);
  for (let i = 0; i < whole; i += 4) {
    const p = xStart + i;
    const q = yStart + i;
    a += (x[p] as number) * (y[q] as number);
    b += (x[p + 1] as number) * (y[q + 1] as number);
    c += (x[p + 2] as number) * (y[q + 2] as number);
    d += (x[p + 3] as number) * (y[q + 3] as number);
  }
  let sum = a + b + (c + d);
  for (let i = whole; i < D; i++) {
    sum += (x[xStart + i] as number) * (y[yStart + i] as number);
  }
  return sum;
}

/** The length of the vector of `D` numbers from `start` on. */
export function lengthOf(x: Rows, start: number, D: number): number {
  return Math.sqrt(innerProduct(x, start, x, start, D));
}

/** The distance that was compared as `compared`: a Euclidean one by its square. */
export function distanceOf(metric: Metric, compared: number): number {
  return metric === 'euclidean' ? Math.sqrt(compared) : compared;
}
