import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { currentDevice } from '../webgpu/backend.js';
import { runProgram } from '../webgpu/program.js';
import type { SearchDoor } from './door.js';
import type { Metric } from './options.js';
import { type PartRange, type SearchShape, searchProgram } from './passes.js';
import type { RowStore, StoredValues } from './RowStore.js';

/** Scratch of one program; more queries go in several. */
const SCRATCH = 2 ** 26;
const LARGEST_FLOAT16 = 65504;

/** What queries are compared with besides: codes `[slots, words]`, and their own. */
export interface DeviceCodes {
  readonly codes: Int32Array;
  readonly words: number;
  readonly bits: number;
  /** `[queries, words]` */
  readonly queryCodes: Int32Array;
  /** Vectors of the nearest codes that are compared. */
  readonly width: number;
}

type Numbers = Exclude<StoredValues, Uint16Array>;

interface Part extends PartRange {
  readonly rows: Tensor;
  /** Of the rows' absolute values. */
  readonly largest: number;
  readonly codes?: Tensor;
}

/** Copies of an index's vectors and codes on the GPU, in parts that bindings hold. The store stays the truth. */
export class DeviceRows {
  private parts: Part[] = [];
  private device: GPUDevice | undefined;

  /** The k nearest slots `[queries, k]` of rows `[queries, D]`; −1 where there are no more. */
  async nearest(
    store: RowStore,
    queries: Float32Array,
    { metric, k, allowed }: { readonly metric: Metric; readonly k: number; readonly allowed: Uint8Array },
    door: SearchDoor,
    codes?: DeviceCodes,
  ): Promise<Int32Array> {
    const { maxStorageBufferBindingSize, maxBufferSize } = door.device();
    const binding = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    this.update(store, metric, binding, codes);
    const { D } = store;
    const half = store.storage === 'float16';
    const depth = depthOf(store);
    const vectors = depth / (half ? 8 : 4);
    const n = queries.length / D;
    // The largest of what a query takes: keys and values of all slots, its vector, its code.
    const widest = Math.max(store.count, depth, codes?.words ?? 0);
    const most = Math.max(1, Math.floor(Math.min(SCRATCH, binding) / (4 * widest)));
    const largest = Math.max(...this.parts.map((part) => part.largest));
    // A cosine does not change where a vector is scaled; what else is compared needs one scale for all.
    const scale = metric === 'cosine' ? undefined : scaleFor(D, Math.max(largest, largestOf(queries)));
    const slots = new Int32Array(n * k);
    const allowedTensor = tf.tensor1d(new Int32Array(allowed.subarray(0, store.count)), 'int32');
    try {
      for (let first = 0; first < n; first += most) {
        const count = Math.min(most, n - first);
        const shape: SearchShape = {
          ...{ slots: store.count, queries: count, vectors, half, metric, rowScale: scale ?? 1, k },
          parts: this.parts.map(({ first, count }) => ({ first, count })),
          ...(codes && { codes: { vectors: codes.words / 4, bits: codes.bits, width: codes.width } }),
        };
        const best = tf.tidy(() =>
          this.run(
            shape,
            padded(queries.subarray(first * D, (first + count) * D), D, depth, scale),
            allowedTensor,
            first,
            door,
            codes,
          ),
        );
        try {
          slots.set(await door.values(best), first * k);
        } finally {
          best.dispose();
        }
      }
    } finally {
      allowedTensor.dispose();
    }
    return slots;
  }

  dispose(): void {
    for (const { rows, codes } of this.parts.splice(0)) {
      tf.dispose([rows, ...(codes ? [codes] : [])]);
    }
  }

  private run(
    shape: SearchShape,
    queries: Float32Array,
    allowed: Tensor,
    first: number,
    door: SearchDoor,
    codes: DeviceCodes | undefined,
  ): Tensor {
    const parts = this.parts.flatMap(({ rows, codes }, i) => [
      [`rows${i}`, rows],
      ...(codes ? [[`codes${i}`, codes]] : []),
    ]);
    const inputs = {
      ...Object.fromEntries(parts),
      queries: tf.tensor1d(queries),
      allowed,
      ...(codes && {
        queryCodes: tf.tensor1d(
          codes.queryCodes.slice(first * codes.words, (first + shape.queries) * codes.words),
          'int32',
        ),
      }),
    };
    return runProgram('VectorSearch', searchProgram(shape), inputs, { door })[0] as Tensor;
  }

  /** Brings the copies up to date: vectors never change in their slots, so whole parts stay. */
  private update(store: RowStore, metric: Metric, binding: number, codes: DeviceCodes | undefined): void {
    const device = currentDevice();
    if (this.device !== device) {
      this.dispose();
      this.device = device;
    }
    const rowBytes = Math.max(depthOf(store) * store.values.BYTES_PER_ELEMENT, 4 * (codes?.words ?? 0));
    const most = Math.floor(binding / rowBytes);
    const last = this.parts.at(-1);
    if (last !== undefined && last.first + last.count < store.count && last.count < most) {
      tf.dispose([last.rows, ...(last.codes ? [last.codes] : [])]);
      this.parts.pop();
    }
    const end = this.parts.at(-1);
    for (let first = end ? end.first + end.count : 0; first < store.count; first += most) {
      const count = Math.min(most, store.count - first);
      const largest = largestOf(store.values.subarray(first * store.D, (first + count) * store.D));
      const rows = tf.keep(tf.tensor1d(packedRows(store, metric, first, count), 'int32'));
      const part = codes?.codes.slice(first * codes.words, (first + count) * codes.words);
      this.parts.push({
        ...{ first, count, rows, largest },
        ...(part && { codes: tf.keep(tf.tensor1d(part, 'int32')) }),
      });
    }
  }
}

/** Numbers of a stored vector, padded with zeros to whole vec4u. */
function depthOf({ D, storage }: RowStore): number {
  const most = storage === 'float16' ? 8 : 4;
  return Math.ceil(D / most) * most;
}

/** Stored vectors as 32-bit words. */
function packedRows(store: RowStore, metric: Metric, first: number, count: number): Int32Array {
  const { D } = store;
  const values = store.values.subarray(first * D, (first + count) * D);
  const depth = depthOf(store);
  if (!(values instanceof Uint16Array)) {
    return new Int32Array(padded(values, D, depth, metric === 'cosine' ? undefined : 1).buffer);
  }
  const packed = new Uint16Array(count * depth);
  for (let i = 0; i < count; i++) {
    packed.set(values.subarray(i * D, (i + 1) * D), i * depth);
  }
  return new Int32Array(packed.buffer);
}

/** Rows padded with zeros to a depth, and scaled: each by its own scale where none is given. */
function padded(rows: Numbers, D: number, depth: number, common?: number) {
  const n = rows.length / D;
  const values = new Float32Array(n * depth);
  for (let i = 0; i < n; i++) {
    const row = rows.subarray(i * D, (i + 1) * D);
    const scale = common ?? scaleFor(D, largestOf(row));
    for (let d = 0; d < D; d++) {
      values[i * depth + d] = scale * (row[d] as number);
    }
  }
  return values;
}

function largestOf(values: StoredValues): number {
  if (values instanceof Uint16Array) {
    return LARGEST_FLOAT16;
  }
  let largest = 0;
  // Numbers of an iterator would take ten times as long.
  for (let i = 0; i < values.length; i++) {
    largest = Math.max(largest, Math.abs(values[i] as number));
  }
  return largest;
}

/**
 * The power of two that brings numbers as high as a sum of D squares of their differences allows, so that neither it
 * overflows nor small ones vanish.
 */
function scaleFor(D: number, largest: number): number {
  const exponent = Math.floor((123 - Math.ceil(Math.log2(D))) / 2);
  return largest === 0 ? 1 : 2 ** Math.min(126, exponent - Math.floor(Math.log2(largest)));
}
