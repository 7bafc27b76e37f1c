import { Door } from '../door.js';
import type { Alternative } from './combinations.js';
import type { FamilyConfig, VectorFamily } from './family.js';
import { givenFactors, MOST_DRAWN, MOST_NUMBERS } from './given.js';
import { linearFamily, type Reading } from './linearFamily.js';
import { gaussianProjection, hadamardProjection } from './projection.js';

/** Options of {@link crossPolytope}. */
export interface CrossPolytopeOptions {
  /** Numbers of a vector: an integer from 1 to 2^20. */
  readonly D: number;
  /** N, as of the attention: an even number from 2 up, or a list of them, whose product is at most 2^31. @default 64 */
  readonly numBuckets?: number | readonly number[];
  /** Hash functions: an integer from 1 up; the attention's rounds. @default 8 */
  readonly tables?: number;
  /** How rotations are drawn, as of the attention. @default 'gaussian' */
  readonly rotation?: 'gaussian' | 'hadamard';
  /** An unsigned 32-bit integer: the same seed gives the same codes, and the attention's buckets. @default 0 */
  readonly seed?: number;
}

const NAMES: Record<keyof CrossPolytopeOptions, true> = {
  ...{ D: true, numBuckets: true, tables: true, rotation: true, seed: true },
};
/** Codes are int32, and none is negative. */
const MOST_BUCKETS = 2 ** 31;

/**
 * The attention's hash: a vector is turned, and its code is the nearest of the 2·m corners ±e_i of m axes, or with
 * several numbers of buckets one corner for each, as digits of one number. At a small angle it tells vectors apart
 * better than hyperplanes do (Andoni et al. 2015, arXiv 1509.02897). With one head, the codes are those of
 * `lshBuckets` of the same `numBuckets`, `rotation` and `seed`.
 *
 * @throws RangeError or TypeError naming the option.
 */
export function crossPolytope(options: CrossPolytopeOptions): VectorFamily {
  const door = new Door('crossPolytope');
  door.known(options, NAMES);
  const D = door.integer('D', options.D, 1, MOST_NUMBERS);
  const tables = door.integer('tables', options.tables ?? 8, 1, 4096);
  const seed = door.integer('seed', options.seed ?? 0, 0, 2 ** 32 - 1);
  const rotation = door.oneOf('rotation', options.rotation ?? 'gaussian', ['gaussian', 'hadamard']);
  const factors = givenFactors(door, options.numBuckets ?? 64, MOST_BUCKETS);
  const F = factors.reduce((sum, f) => sum + f / 2, 0);
  door.affordable(
    'numbers of rotations',
    tables * F * D,
    'Use fewer tables, or buckets in factors such as [64, 64].',
    MOST_DRAWN,
  );
  const shape = { D, R: tables, F };
  const draw = { gaussian: gaussianProjection, hadamard: hadamardProjection };
  return linearFamily(
    {
      name: 'crossPolytope',
      config: { D, numBuckets: factors, tables, rotation, seed },
      weights: {},
      tables,
      bits: 0,
    },
    { D, F, draw: () => draw[rotation](shape, seed) },
    corners(factors),
  );
}

/** Makes cross-polytopes again from what they were made from. */
export function restoreCrossPolytope(config: FamilyConfig): VectorFamily {
  return crossPolytope(config as unknown as CrossPolytopeOptions);
}

function corners(factors: readonly number[]): Reading {
  return {
    factors,
    negated: false,
    complemented: false,
    code(y, start) {
      let code = 0;
      let stride = 1;
      let first = start;
      for (const f of factors) {
        code += nearest(y, first, f / 2) * stride;
        stride *= f;
        first += f / 2;
      }
      return code;
    },
    alternatives(y, start) {
      let stride = 1;
      let first = start;
      return factors.map((f) => {
        const part = others(y, first, f / 2, stride);
        stride *= f;
        first += f / 2;
        return part;
      });
    },
  };
}

/** The index of the first maximum of [y, −y], of `half` numbers from `first` on. */
function nearest(y: Float64Array, first: number, half: number): number {
  let best = -1;
  let index = 0;
  for (let i = 0; i < half; i++) {
    const x = y[first + i] as number;
    const corner = x >= 0 ? i : i + half;
    const size = Math.abs(x);
    if (size > best || (size === best && corner < index)) {
      best = size;
      index = corner;
    }
  }
  return index;
}

/** All other corners; the cost is the squared distance behind the nearest (Andoni et al. 2015, section 5). */
function others(y: Float64Array, first: number, half: number, stride: number): Alternative[] {
  const own = nearest(y, first, half);
  const part = (corner: number) => (y[first + (corner % half)] as number) * (corner < half ? 1 : -1);
  const most = part(own);
  return Array.from({ length: 2 * half }, (_, corner) => ({
    change: (corner - own) * stride,
    cost: (most - part(corner)) ** 2,
  }))
    .filter((_, corner) => corner !== own)
    .sort((a, b) => a.cost - b.cost || a.change - b.change);
}
