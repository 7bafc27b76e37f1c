import * as tf from '@tensorflow/tfjs-core';
import type { Rows, VectorFamily } from '../hashing/family.js';
import { onWebGPU } from '../webgpu/backend.js';
import { lengthOf } from './distance.js';
import { SearchDoor } from './door.js';
import type { HashIndexOptions } from './options.js';
import type { StoredValues } from './RowStore.js';
import { VectorIndex } from './VectorIndex.js';

/** Numbers of vectors hashed at a time: 16 MiB of them on a GPU, which any binding holds. */
const BLOCK = 2 ** 22;

/** What indexes by hash codes share: how vectors are prepared and hashed. */
export abstract class HashIndex extends VectorIndex {
  readonly center: boolean;
  /** What is subtracted before hashing: the mean of the vectors that the index was built from. */
  protected mean: Float64Array | undefined;

  constructor(kind: string, options: HashIndexOptions, names: Readonly<Record<string, true>> = {}) {
    super(kind, options, { family: true, center: true, ...names });
    const door = new SearchDoor(kind);
    this.center = door.flag('center', options.center ?? true);
    if (this.metric === 'innerProduct') {
      throw door.range(
        "`metric: 'innerProduct'` cannot be had by hash codes, which are alike where angles are small, however long the vectors. Use BruteForceIndex, or 'cosine' for vectors of one length.",
      );
    }
    if (options.family !== undefined && options.family.D !== this.D) {
      throw door.range(
        `\`family\` must be made for vectors of D = ${this.D} numbers, got D = ${options.family.D}.`,
      );
    }
  }

  protected override prepareAnew(values: StoredValues): Promise<() => void> {
    const mean = this.center ? this.meanOf(values) : undefined;
    return this.prepare(values, mean);
  }

  protected abstract override prepare(values: StoredValues, mean?: Float64Array): Promise<() => void>;

  /** The codes `[tables, n]` of vectors, by the GPU where tfjs runs on one. */
  protected async codesOf(
    family: VectorFamily,
    values: StoredValues | Rows,
    mean = this.mean,
  ): Promise<Int32Array> {
    const { D } = this;
    const n = values.length / D;
    const codes = new Int32Array(family.tables * n);
    const step = Math.max(1, Math.floor(BLOCK / D));
    for (let first = 0; first < n; first += step) {
      const count = Math.min(step, n - first);
      const block = this.hashed(values.subarray(first * D, (first + count) * D), mean);
      const found =
        onWebGPU() && block instanceof Float32Array ? await hashOnGPU(family, block) : family.hash(block);
      for (let table = 0; table < family.tables; table++) {
        codes.set(found.subarray(table * count, (table + 1) * count), table * n + first);
      }
    }
    return codes;
  }

  /** Vectors as they are hashed: of unit length for cosine distances, less the mean. */
  protected hashed(values: StoredValues | Rows, mean = this.mean): Rows {
    const { D, metric } = this;
    const numbers = this.store.numbers(values);
    if (metric === 'euclidean' && mean === undefined) {
      return numbers;
    }
    const prepared: Rows = numbers instanceof Float64Array ? numbers.slice() : Float32Array.from(numbers);
    for (let start = 0; start < prepared.length; start += D) {
      const scale = metric === 'cosine' ? 1 / (lengthOf(numbers, start, D) || 1) : 1;
      for (let d = 0; d < D; d++) {
        prepared[start + d] = (prepared[start + d] as number) * scale - (mean ? (mean[d] as number) : 0);
      }
    }
    return prepared;
  }

  private meanOf(values: StoredValues): Float64Array {
    const { D } = this;
    const n = Math.max(1, values.length / D);
    const sums = new Float64Array(D);
    const step = Math.max(1, Math.floor(BLOCK / D)) * D;
    for (let first = 0; first < values.length; first += step) {
      const block = this.hashed(values.subarray(first, first + step), new Float64Array(D));
      for (let i = 0; i < block.length; i += D) {
        for (let d = 0; d < D; d++) {
          sums[d] = (sums[d] as number) + (block[i + d] as number);
        }
      }
    }
    return sums.map((sum) => sum / n);
  }
}

async function hashOnGPU(family: VectorFamily, rows: Float32Array): Promise<Int32Array> {
  const codes = tf.tidy(() => family.hashTensor(tf.tensor2d(rows, [rows.length / family.D, family.D])));
  try {
    return (await codes.data()) as Int32Array;
  } finally {
    codes.dispose();
  }
}
