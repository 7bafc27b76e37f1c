import type { Tensor } from '@tensorflow/tfjs-core';
import { Door, show } from '../door.js';
import type { Rows } from '../hashing/family.js';
import { FLOAT16_OVERFLOW } from '../storage/float16.js';
import type { QueryResult, VectorInput, VectorStorage } from './options.js';

/** Most vectors of an index. */
const MOST_ROWS = 2 ** 24;

/** Numbers of this size and above are infinite when they are stored. */
const LIMITS: Readonly<Record<VectorStorage, number>> = {
  float16: FLOAT16_OVERFLOW,
  float32: 2 ** 128 - 2 ** 103,
  float64: Number.POSITIVE_INFINITY,
};

/** The checks of the public functions of an index. */
export class SearchDoor extends Door {
  /** The values of vectors `[n, D]`, all finite when they are stored; those of a tensor once they have been read. */
  async rows(option: string, given: VectorInput, D: number, storage: VectorStorage): Promise<Rows> {
    const values = isRows(given) ? given : await this.tensorRows(option, given, D);
    this.finiteRows(option, values, D, storage);
    return values;
  }

  /** Whole vectors of numbers that are finite when they are stored. */
  finiteRows(option: string, values: Rows, D: number, storage: VectorStorage): void {
    if (values.length % D !== 0) {
      throw this.range(
        `\`${option}\` must hold whole vectors of D = ${D} numbers, got ${values.length} numbers.`,
      );
    }
    const limit = LIMITS[storage];
    for (let i = 0; i < values.length; i++) {
      const x = values[i] as number;
      if (!(Math.abs(x) < limit)) {
        throw this.range(
          Number.isFinite(x)
            ? `\`${option}\` must fit ${storage}, got ${x} in row ${Math.floor(i / D)}. Scale the vectors, or use another \`storage\`.`
            : `\`${option}\` must be finite, got ${x} in row ${Math.floor(i / D)}. Leave that row out.`,
        );
      }
    }
  }

  /** Ids of n rows: distinct, and none of them taken. */
  ids(given: ArrayLike<number>, n: number, isTaken: (id: number) => boolean): Int32Array {
    if (this.list('ids', given).length !== n) {
      throw this.range(`\`ids\` must be as many as there are rows, ${n}, got ${given.length}.`);
    }
    const seen = new Set<number>();
    for (let i = 0; i < n; i++) {
      const id = this.integer('ids', given[i] as number, 0, 2 ** 31 - 2);
      if (seen.has(id) || isTaken(id)) {
        throw this.range(`\`ids\` must be distinct, and none in use, got ${id} again. Remove it first.`);
      }
      seen.add(id);
    }
    return Int32Array.from(given);
  }

  /** How many queries a result is of. */
  neighbours(option: string, given: Pick<QueryResult, 'ids' | 'k'>): number {
    const { ids, k } = this.object(option, given);
    if (!(ids instanceof Int32Array)) {
      throw this.kind(`\`${option}.ids\` must be an Int32Array, got ${show(ids)}.`);
    }
    return this.integer(`${option}.ids.length / k`, ids.length / this.integer(`${option}.k`, k, 1), 0);
  }

  /** Room for so many rows in all. */
  room(count: number): void {
    this.integer('rows', count, 0, MOST_ROWS);
  }

  private async tensorRows(option: string, tensor: Tensor, D: number): Promise<Rows> {
    this.tensor(option, tensor, ['float32']);
    if (tensor.rank !== 2 || tensor.shape[1] !== D) {
      throw this.range(`\`${option}\` must have the shape [n, D] = [n, ${D}], got [${tensor.shape}].`);
    }
    return (await this.values(tensor)) as Float32Array;
  }
}

function isRows(given: VectorInput): given is Rows {
  return given instanceof Float32Array || given instanceof Float64Array;
}
