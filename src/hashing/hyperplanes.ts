import { Door, show } from '../door.js';
import type { FamilyConfig, FamilyWeights, Rows, VectorFamily } from './family.js';
import { MOST_DRAWN, MOST_NUMBERS } from './given.js';
import { linearFamily, type Reading } from './linearFamily.js';
import {
  gaussianProjection,
  hadamardProjection,
  matrixProjection,
  orthogonalProjection,
  type Projection,
} from './projection.js';

/** Options of {@link hyperplanes}. */
export interface HyperplaneOptions {
  /** Numbers of a vector: an integer from 1 to 2^20. */
  readonly D: number;
  /** Bits of a code: an integer from 1 to 32. @default 16 */
  readonly bits?: number;
  /** Hash functions, each of `bits` hyperplanes of its own: an integer from 1 up. @default 8 */
  readonly tables?: number;
  /**
   * How normals are drawn: `'gaussian'`, independently; `'orthogonal'`, at right angles in groups of D; `'hadamard'`,
   * as pseudo-random rotations, which are the fastest and store no matrix. @default 'gaussian'
   */
  readonly rotation?: 'gaussian' | 'orthogonal' | 'hadamard';
  /** An unsigned 32-bit integer: the same seed gives the same codes. @default 0 */
  readonly seed?: number;
  /** Which side a vector on a hyperplane is on: 1 where ⟨x, r⟩ ≥ 0 (`'>='`), or where it is > 0 (`'>'`). @default '>=' */
  readonly tie?: '>=' | '>';
  /** Which bit of a code the first hyperplane gives: the least significant one, or the most. @default 'least' */
  readonly firstBit?: 'least' | 'most';
  /** Normals of your own, `[tables·bits, D]` row after row, in place of a draw. */
  readonly planes?: Rows;
}

const NAMES: Record<keyof HyperplaneOptions, true> = {
  ...{
    D: true,
    bits: true,
    tables: true,
    rotation: true,
    seed: true,
    tie: true,
    firstBit: true,
    planes: true,
  },
};

/**
 * Codes of signs: bit i says on which side of the hyperplane with normal r_i a vector lies. Two vectors at the angle θ
 * agree in a bit with probability 1 − θ/π (Charikar 2002), so that codes differ in as many bits as the angle is wide.
 *
 * @throws RangeError or TypeError naming the option.
 */
export function hyperplanes(options: HyperplaneOptions): VectorFamily {
  const door = new Door('hyperplanes');
  door.known(options, NAMES);
  const D = door.integer('D', options.D, 1, MOST_NUMBERS);
  const bits = door.integer('bits', options.bits ?? 16, 1, 32);
  const tables = door.integer('tables', options.tables ?? 8, 1, 4096);
  const seed = door.integer('seed', options.seed ?? 0, 0, 2 ** 32 - 1);
  const tie = door.oneOf('tie', options.tie ?? '>=', ['>=', '>']);
  const firstBit = door.oneOf('firstBit', options.firstBit ?? 'least', ['least', 'most']);
  const rotation = door.oneOf('rotation', options.rotation ?? 'gaussian', [
    'gaussian',
    'orthogonal',
    'hadamard',
  ]);
  const planes = options.planes && checkedPlanes(door, options.planes, { D, bits, tables });
  door.affordable(
    'numbers of hyperplanes',
    tables * bits * D,
    'Use fewer tables, or fewer bits.',
    MOST_DRAWN,
  );
  const upward = firstBit === 'least';
  // Tables share the blocks of a Hadamard projection: one transform serves all its columns.
  const shape = rotation === 'hadamard' ? { D, R: 1, F: tables * bits } : { D, R: tables, F: bits };
  const draw = {
    gaussian: gaussianProjection,
    orthogonal: orthogonalProjection,
    hadamard: hadamardProjection,
  };
  const projection = () => {
    const drawn = planes ? matrixProjection(transposed(planes, D), D) : draw[rotation](shape, seed);
    return upward ? drawn : reversed(drawn, bits);
  };
  return linearFamily(
    {
      name: 'hyperplanes',
      config: { D, bits, tables, rotation, seed, tie, firstBit, planes: planes !== undefined },
      weights: planes ? { planes } : {},
      tables,
      bits,
    },
    { D, F: bits, draw: projection },
    signs(bits, tie),
  );
}

function checkedPlanes(
  door: Door,
  planes: Rows,
  { D, bits, tables }: { readonly D: number; readonly bits: number; readonly tables: number },
): Rows {
  if (!(planes instanceof Float32Array || planes instanceof Float64Array)) {
    throw door.kind(`\`planes\` must be a Float32Array or Float64Array, got ${show(planes)}.`);
  }
  if (planes.length !== tables * bits * D) {
    throw door.range(
      `\`planes\` must have tables·bits·D = ${tables}·${bits}·${D} = ${tables * bits * D} numbers, got ${planes.length}.`,
    );
  }
  if (!planes.every(Number.isFinite)) {
    throw door.range('`planes` must be finite numbers, got some that are not.');
  }
  return planes;
}

/** Makes hyperplanes again from what they were made from. */
export function restoreHyperplanes(config: FamilyConfig, { planes }: FamilyWeights): VectorFamily {
  const { planes: given, ...options } = config;
  if (given !== (planes !== undefined)) {
    throw new Error('it has no hyperplanes where it should, or some where it should not');
  }
  return hyperplanes({
    ...options,
    ...(planes && { planes: planes as Rows }),
  } as unknown as HyperplaneOptions);
}

function signs(bits: number, tie: '>=' | '>'): Reading {
  const isOne = tie === '>=' ? (x: number) => x >= 0 : (x: number) => x > 0;
  return {
    factors: Array<number>(bits).fill(2),
    negated: tie === '>',
    complemented: tie === '>=',
    code(y, start) {
      let code = 0;
      for (let bit = 0; bit < bits; bit++) {
        code |= Number(isOne(y[start + bit] as number)) << bit;
      }
      return code;
    },
    alternatives: (y, start) =>
      Array.from({ length: bits }, (_, bit) => {
        const x = y[start + bit] as number;
        return [{ change: isOne(x) ? -(2 ** bit) : 2 ** bit, cost: x * x }];
      }),
  };
}

/** `[rows, D]` as `[D, rows]`. */
function transposed(planes: Rows, D: number): Rows {
  const count = planes.length / D;
  return planes.map((_, i) => planes[(i % count) * D + Math.floor(i / count)] as number);
}

/** The columns of each table in the opposite order. */
function reversed(projection: Projection, bits: number): Projection {
  const { D, columns } = projection;
  const turn = (y: Float64Array | Float32Array, count: number) => {
    for (let start = 0; start < count * columns; start += bits) {
      y.subarray(start, start + bits).reverse();
    }
  };
  return {
    ...{ D, columns },
    project(rows, first, count, y) {
      projection.project(rows, first, count, y);
      turn(y, count);
    },
    matrix() {
      const matrix = projection.matrix();
      turn(matrix, D);
      return matrix;
    },
  };
}

/**
 * Packs bits into an unsigned number of as many bits, up to 32: the first is the least significant one, or the most.
 *
 * @throws RangeError for more than 32 bits.
 */
export function packBits(bits: ArrayLike<number | boolean>, firstBit: 'least' | 'most' = 'least'): number {
  const door = new Door('packBits');
  door.oneOf('firstBit', firstBit, ['least', 'most']);
  door.integer('bits.length', door.list('bits', bits).length, 0, 32);
  let code = 0;
  for (let i = 0; i < bits.length; i++) {
    code |= Number(Boolean(bits[i])) << (firstBit === 'least' ? i : bits.length - 1 - i);
  }
  return code >>> 0;
}
