import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { rotationBuckets } from '../attention/hash.js';
import { DEFAULTS } from '../attention/options.js';
import type { Settings } from '../attention/settings.js';
import { Door } from '../door.js';
import { type Alternative, cheapestChanges } from './combinations.js';
import type { Rows, VectorFamily } from './family.js';
import type { Projection } from './projection.js';

/** Vectors projected at a time: what they are projected to stays in the cache … */
const BLOCK = 64;
/** … and in memory, where a table has many buckets. */
const MOST_PROJECTED = 2 ** 22;

/** How a linear family reads the F columns of a table. */
export interface Reading {
  /** As the attention's buckets: a code is made of the largest parts of slices f/2 wide, with sign. */
  readonly factors: readonly number[];
  /** The code of the columns from `start` on. */
  code(y: Float64Array, start: number): number;
  /** For each part of that code its other values, likeliest first. */
  alternatives(y: Float64Array, start: number): Alternative[][];
  /** Whether attention's kernel sees −y for y. */
  readonly negated: boolean;
  /** Whether a code is N−1 less the attention's bucket. */
  readonly complemented: boolean;
}

/** What a linear family is apart from what it computes. */
type Identity = Pick<VectorFamily, 'name' | 'config' | 'weights' | 'tables' | 'bits'>;

/** What a family projects by: F columns a table. It is drawn when it is first used, so that a file cannot ask for memory. */
interface Drawing {
  readonly D: number;
  readonly F: number;
  readonly draw: () => Projection;
}

/** A family that reads its codes from projections of the vectors: one for hyperplanes and cross-polytopes. */
export function linearFamily(identity: Identity, { D, F, draw }: Drawing, reading: Reading): VectorFamily {
  const { tables } = identity;
  const columns = tables * F;
  const block = Math.max(1, Math.min(BLOCK, Math.floor(MOST_PROJECTED / columns)));
  const N = reading.factors.reduce((product, f) => product * f, 1);
  let drawn: { readonly projection: Projection; readonly y: Float64Array } | undefined;
  const use = () => {
    drawn ??= { projection: draw(), y: new Float64Array(block * columns) };
    return drawn;
  };
  const hash = (rows: Rows) => {
    const { projection, y } = use();
    const n = rows.length / D;
    const codes = new Int32Array(tables * n);
    for (let first = 0; first < n; first += block) {
      const count = Math.min(block, n - first);
      projection.project(rows, first, count, y);
      for (let row = 0; row < count; row++) {
        for (let table = 0; table < tables; table++) {
          codes[table * n + first + row] = reading.code(y, row * columns + table * F);
        }
      }
    }
    return codes;
  };
  const probes = (row: Rows, count: number) => {
    const { projection, y } = use();
    const most = Math.min(count, N);
    projection.project(row, 0, 1, y);
    const codes = new Int32Array(tables * most);
    for (let table = 0; table < tables; table++) {
      const own = reading.code(y, table * F);
      const changes = cheapestChanges(reading.alternatives(y, table * F), most);
      changes.forEach((change, i) => {
        codes[table * most + i] = own + change;
      });
    }
    return codes;
  };
  const hashTensor = tensorHash(identity.name, { D, tables, N, F }, () => use().projection, reading);
  return { ...identity, D, N, hash, probes, hashTensor };
}

/** The same codes by the attention's own hash: its rounds are the tables. */
function tensorHash(
  name: string,
  {
    D,
    tables,
    N,
    F,
  }: { readonly D: number; readonly tables: number; readonly N: number; readonly F: number },
  projection: () => Projection,
  { factors, negated, complemented }: Reading,
): VectorFamily['hashTensor'] {
  let matrix: Float32Array | undefined;
  return (rows: Tensor) =>
    tf.tidy(() => {
      matrix ??= negated
        ? projection()
            .matrix()
            .map((x) => -x)
        : projection().matrix();
      const n = rows.shape[0] as number;
      const rotations = tf.tensor(matrix, [1, D, tables, F]);
      const shape = { B: 1, H: 1, L: n, D, E: D };
      const settings = { ...hashSettings(tables, N, F, factors), ...(complemented && { flipped: N - 1 }) };
      const buckets = rotationBuckets({ qk: rows, rotations }, shape, settings, new Door(name));
      return tf.reshape(buckets, [tables, n]);
    });
}

/** The settings of an attention that only hashes. */
function hashSettings(R: number, N: number, F: number, factors: readonly number[]): Settings {
  return {
    ...{ R, N, F, factors, C: 1, P: 0, A: 0, scale: 1, epsilon: 0, rotationHeads: 1 },
    ...{ seed: DEFAULTS.seed, dropout: DEFAULTS.dropout },
    ...{ causal: false, bucketWindow: false, correct: false, wrap: false, acrossBuckets: true },
    ...{ half: false, hadamard: false, masked: false, hashed: true },
  };
}
