import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { currentDevice } from '../webgpu/backend.js';
import { runProgram } from '../webgpu/program.js';
import type { SearchDoor } from './door.js';
import type { Metric } from './options.js';
import { type PartRange, type SearchShape, searchProgram } from './passes.js';
import type { RowStore } from './RowStore.js';

/** Scratch of one program; more queries go in several. */
const SCRATCH = 2 ** 26;

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

interface Part extends PartRange {
  readonly rows: Tensor;
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
    this.update(store, binding, codes);
    const half = store.storage === 'float16';
    const vectors = vectorsOf(store);
    const n = queries.length / store.D;
    // The largest of what a query takes: keys and values of all slots, its vector, its code.
    const widest = Math.max(store.count, 4 * vectors * (half ? 2 : 1), codes?.words ?? 0);
    const most = Math.max(1, Math.floor(Math.min(SCRATCH, binding) / (4 * widest)));
    const slots = new Int32Array(n * k);
    const allowedTensor = tf.tensor1d(new Int32Array(allowed.subarray(0, store.count)), 'int32');
    try {
      for (let first = 0; first < n; first += most) {
        const count = Math.min(most, n - first);
        const shape: SearchShape = {
          ...{ slots: store.count, queries: count, vectors, half, metric, k },
          parts: this.parts.map(({ first, count }) => ({ first, count })),
          ...(codes && { codes: { vectors: codes.words / 4, bits: codes.bits, width: codes.width } }),
        };
        const best = tf.tidy(() =>
          this.run(
            shape,
            padded(queries, store.D, first, count, vectors * (half ? 8 : 4)),
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
  private update(store: RowStore, binding: number, codes: DeviceCodes | undefined): void {
    const device = currentDevice();
    if (this.device !== device) {
      this.dispose();
      this.device = device;
    }
    const rowBytes = Math.max(16 * vectorsOf(store), 4 * (codes?.words ?? 0));
    const most = Math.floor(binding / rowBytes);
    const last = this.parts.at(-1);
    if (last !== undefined && last.first + last.count < store.count && last.count < most) {
      tf.dispose([last.rows, ...(last.codes ? [last.codes] : [])]);
      this.parts.pop();
    }
    const end = this.parts.at(-1);
    for (let first = end ? end.first + end.count : 0; first < store.count; first += most) {
      const count = Math.min(most, store.count - first);
      const rows = tf.keep(tf.tensor1d(packedRows(store, first, count), 'int32'));
      const part = codes?.codes.slice(first * codes.words, (first + count) * codes.words);
      this.parts.push({ first, count, rows, ...(part && { codes: tf.keep(tf.tensor1d(part, 'int32')) }) });
    }
  }
}

/** vec4u of a stored vector, padded with zeros. */
function vectorsOf({ D, storage }: RowStore): number {
  return Math.ceil(D / (storage === 'float16' ? 8 : 4));
}

/** Stored vectors as 32-bit words. */
function packedRows(store: RowStore, first: number, count: number): Int32Array {
  const { D, values } = store;
  const packed = new Int32Array(4 * vectorsOf(store) * count);
  const target =
    values instanceof Uint16Array ? new Uint16Array(packed.buffer) : new Float32Array(packed.buffer);
  const pitch = target.length / Math.max(1, count);
  for (let i = 0; i < count; i++) {
    target.set(values.subarray((first + i) * D, (first + i + 1) * D), i * pitch);
  }
  return packed;
}

/** Rows padded with zeros to a depth. */
function padded(rows: Float32Array, D: number, first: number, count: number, depth: number): Float32Array {
  const values = new Float32Array(count * depth);
  for (let i = 0; i < count; i++) {
    values.set(rows.subarray((first + i) * D, (first + i + 1) * D), i * depth);
  }
  return values;
}
