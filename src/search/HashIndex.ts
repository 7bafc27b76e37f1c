import * as tf from '@tensorflow/tfjs-core';
import type { Rows, VectorFamily } from '../hashing/family.js';
import { givenFamily } from '../hashing/given.js';
import { accumulate } from '../hashing/projection.js';
import { onWebGPU } from '../webgpu/backend.js';
import { lengthOf } from './distance.js';
import { SearchDoor } from './door.js';
import { fileTensor, type IndexFile } from './file.js';
import type { HashIndexOptions, TuneOptions, TuneResult } from './options.js';
import type { StoredValues } from './RowStore.js';
import type { Tuning } from './tune.js';
import { VectorIndex } from './VectorIndex.js';

/** Numbers of vectors hashed at a time: 16 MiB on a GPU, which any binding holds; else 256 KiB, which a cache holds. */
const BLOCK_ON_GPU = 2 ** 22;
const BLOCK = 2 ** 16;

/** What the names of a family's weights begin with in a file. */
export const FAMILY_PREFIX = 'family.';

/** What indexes by hash codes share: how vectors are prepared and hashed. */
export abstract class HashIndex extends VectorIndex {
  /** What its vectors are hashed by. */
  abstract readonly family: VectorFamily;
  /** Whether vectors are hashed less their mean. */
  readonly center: boolean;
  /** What is subtracted before hashing: the mean of the vectors that the index was built from. */
  private mean: Float64Array | undefined;
  protected abstract readonly tuning: Tuning;

  constructor(kind: string, options: HashIndexOptions) {
    super(kind, options, { family: true, center: true });
    const door = new SearchDoor(kind);
    this.center = door.flag('center', options.center ?? true);
    if (this.metric === 'innerProduct') {
      throw door.range(
        "`metric: 'innerProduct'` cannot be had by hash codes: they are alike where angles are small. Use BruteForceIndex, or 'cosine' for vectors of one length.",
      );
    }
    if (options.family !== undefined) {
      givenFamily(door, 'family', options.family, this.D);
    }
  }

  /**
   * Finds the least effort that reaches a recall, for queries with `targetRecall`: `probes` and `maxCandidates` of an LshIndex,
   * `maxCandidates` of a BinaryIndex. Tune again when the vectors have changed much.
   */
  async tune(options: TuneOptions): Promise<TuneResult> {
    return this.tuning.tune(this, this.store, options, this.door('tune'));
  }

  override restore(file: IndexFile): void {
    super.restore(file);
    const n = this.store.count;
    const codes = this.tensor(file.tensors, 'codes', new Int32Array(0));
    const mean = file.tensors.has('mean')
      ? this.tensor(file.tensors, 'mean', new Float64Array(0))
      : undefined;
    if (codes.length !== this.family.tables * n || (mean !== undefined && mean.length !== this.D)) {
      throw new Error('its codes or its mean have another size than its vectors');
    }
    if (codes.some((code) => code >>> 0 >= this.family.N) || mean?.every(Number.isFinite) === false) {
      throw new Error('its codes or its mean have numbers that they cannot have');
    }
    this.mean = mean;
    this.take(codes, n);
    this.tuning.restore(file.description.tuned);
  }

  protected override described(): IndexFile {
    const { description, tensors } = super.described();
    const { family, center, mean, store } = this;
    const { name, config, weights, tables } = family;
    const options = { ...(description.options as object), center };
    return {
      description: { options, family: { name, config }, tuned: this.tuning.measured },
      tensors: new Map([
        ...tensors,
        ['codes', fileTensor(this.codesOfSurvivors(), [tables, store.live])],
        ...(mean ? [['mean', fileTensor(mean)] as const] : []),
        ...Object.entries(weights).map(([key, values]) => [FAMILY_PREFIX + key, fileTensor(values)] as const),
      ]),
    };
  }

  private codesOfSurvivors(): Int32Array {
    const { count, live, alive } = this.store;
    const codes = this.codesBySlot();
    const kept = new Int32Array(this.family.tables * live);
    let at = 0;
    for (let i = 0; i < codes.length; i++) {
      if (alive[i % count] === 1) {
        kept[at++] = codes[i] as number;
      }
    }
    return kept;
  }

  /** Takes the codes `[tables, n]` of the last n slots. */
  protected abstract take(codes: Int32Array, n: number): void;

  /** The codes `[tables, slots]`. */
  protected abstract codesBySlot(): Int32Array;

  protected override prepareAnew(values: StoredValues, door: SearchDoor): Promise<() => void> {
    const mean = this.center ? this.meanOf(values) : undefined;
    return this.prepare(values, door, mean);
  }

  protected async prepare(values: StoredValues, door: SearchDoor, mean = this.mean): Promise<() => void> {
    const codes = await this.codesOf(this.family, values, door, mean);
    return () => {
      this.mean = mean;
      this.take(codes, values.length / this.D);
    };
  }

  /** The codes `[tables, n]` of vectors, by the GPU where tfjs runs on one. */
  protected async codesOf(
    family: VectorFamily,
    values: StoredValues | Rows,
    door: SearchDoor,
    mean = this.mean,
  ): Promise<Int32Array> {
    const { D } = this;
    const n = values.length / D;
    const codes = new Int32Array(family.tables * n);
    const step = Math.max(1, Math.floor((onWebGPU() ? BLOCK_ON_GPU : BLOCK) / D));
    for (let first = 0; first < n; first += step) {
      const count = Math.min(step, n - first);
      const block = this.hashed(values.subarray(first * D, (first + count) * D), mean);
      const found =
        onWebGPU() && block instanceof Float32Array
          ? await hashOnGPU(family, block, door)
          : family.hash(block);
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
    const prepared: Rows = numbers instanceof Float64Array ? numbers.slice() : new Float32Array(numbers);
    const origin = mean ?? new Float64Array(D);
    for (let start = 0; start < prepared.length; start += D) {
      const scale = metric === 'cosine' ? 1 / (lengthOf(numbers, start, D) || 1) : 1;
      for (let d = 0; d < D; d++) {
        prepared[start + d] = (prepared[start + d] as number) * scale - (origin[d] as number);
      }
    }
    return prepared;
  }

  /** Vectors as they are hashed but for the mean. */
  private uncentred(values: StoredValues): Rows {
    return this.metric === 'cosine'
      ? this.hashed(values, new Float64Array(this.D))
      : this.store.numbers(values);
  }

  private meanOf(values: StoredValues): Float64Array {
    const { D } = this;
    const n = Math.max(1, values.length / D);
    const sums = new Float64Array(D);
    const step = Math.max(1, Math.floor(BLOCK / D));
    const ones = new Float64Array(step).fill(1);
    for (let first = 0; first < values.length; first += step * D) {
      const block = this.uncentred(values.subarray(first, first + step * D));
      accumulate(ones, 0, block, sums, block.length / D);
    }
    return sums.map((sum) => sum / n);
  }
}

async function hashOnGPU(family: VectorFamily, rows: Float32Array, door: SearchDoor): Promise<Int32Array> {
  door.device(); // refuses a lost one in the name of this call
  const codes = tf.tidy(() => family.hashTensor(tf.tensor2d(rows, [rows.length / family.D, family.D])));
  try {
    return (await door.values(codes)) as Int32Array;
  } finally {
    codes.dispose();
  }
}
