import type { Rows } from '../hashing/family.js';
import { decodeFloat16, encodeFloat16 } from '../storage/float16.js';
import { lengthOf } from './distance.js';
import { type FileTensor, fileTensor } from './file.js';
import { grown } from './grown.js';
import type { VectorStorage } from './options.js';

/** Numbers in a store: 16-bit floats as their patterns. */
export type StoredValues = Float32Array | Float64Array | Uint16Array;

const ARRAYS = { float16: Uint16Array, float32: Float32Array, float64: Float64Array } as const;

interface Survivors {
  readonly values: StoredValues;
  readonly ids: Int32Array;
}

/** The vectors of an index by slot, in the order in which they came; removed ones stay until they are compacted away. */
export class RowStore {
  /** Slots in use. */
  count = 0;
  /** Slots that are not removed. */
  live = 0;
  /** `[slots]`: 1 where a vector can be found. */
  alive = new Uint8Array(0);
  ids = new Int32Array(0);
  values: StoredValues;
  /** Of vectors, by slot; NaN where nobody has asked yet. */
  private lengths = new Float64Array(0);
  private decoded: Float32Array<ArrayBuffer> | undefined;
  private nextId = 0;
  private slotOf: Map<number, number> | undefined;

  constructor(
    readonly D: number,
    readonly storage: VectorStorage,
  ) {
    this.values = new ARRAYS[storage](0);
  }

  /** The ids that vectors without ids of their own will have. */
  freshIds(count: number): Int32Array {
    return Int32Array.from({ length: count }, (_, i) => this.nextId + i);
  }

  /** The slot of an id, or undefined. */
  slot(id: number): number | undefined {
    if (this.slotOf === undefined) {
      this.slotOf = new Map();
      for (let slot = 0; slot < this.count; slot++) {
        if (this.alive[slot] === 1) {
          this.slotOf.set(this.ids[slot] as number, slot);
        }
      }
    }
    return this.slotOf.get(id);
  }

  /** The numbers of the vector in a slot, until the next is asked for. */
  row(slot: number): Rows {
    const row = this.values.subarray(slot * this.D, (slot + 1) * this.D);
    if (row instanceof Uint16Array) {
      this.decoded ??= new Float32Array(this.D);
      return decodeFloat16(row, this.decoded);
    }
    return row;
  }

  /** The length of the vector in a slot, which is computed once. */
  length(slot: number): number {
    if (this.lengths.length < this.count) {
      const before = this.lengths;
      this.lengths = new Float64Array(this.ids.length).fill(Number.NaN);
      this.lengths.set(before);
    }
    if (Number.isNaN(this.lengths[slot])) {
      this.lengths[slot] = lengthOf(this.row(slot), 0, this.D);
    }
    return this.lengths[slot] as number;
  }

  /** Rows as they will be stored, rounded. */
  rounded(rows: Rows): StoredValues {
    if (this.storage === 'float64') {
      return new Float64Array(rows);
    }
    return this.storage === 'float32' ? new Float32Array(rows) : encodeFloat16(rows);
  }

  /** Takes vectors; the first `values` become its own, without a copy. */
  append(values: StoredValues, ids: Int32Array): void {
    const first = this.count;
    if (first === 0) {
      this.values = values;
      this.ids = ids.slice();
      this.alive = new Uint8Array(ids.length);
    } else {
      const count = first + ids.length;
      this.values = grown(this.values, count * this.D);
      this.values.set(values, first * this.D);
      this.ids = grown(this.ids, count);
      this.ids.set(ids, first);
      this.alive = grown(this.alive, count);
    }
    this.alive.fill(1, first, first + ids.length);
    for (const [i, id] of ids.entries()) {
      this.slotOf?.set(id, first + i);
      this.nextId = Math.max(this.nextId, id + 1);
    }
    this.count += ids.length;
    this.live += ids.length;
  }

  /** Marks the slots of these ids as removed, and returns how many there were. */
  removeIds(ids: Iterable<number>): number {
    let count = 0;
    for (const id of ids) {
      const slot = this.slot(id);
      if (slot !== undefined) {
        this.alive[slot] = 0;
        this.slotOf?.delete(id);
        count++;
      }
    }
    this.live -= count;
    return count;
  }

  /** The vectors that can be found, and their ids, in order. */
  survivors(): Survivors {
    const values = new ARRAYS[this.storage](this.live * this.D);
    const ids = new Int32Array(this.live);
    let at = 0;
    for (let slot = 0; slot < this.count; slot++) {
      if (this.alive[slot] === 1) {
        values.set(this.values.subarray(slot * this.D, (slot + 1) * this.D), at * this.D);
        ids[at++] = this.ids[slot] as number;
      }
    }
    return { values, ids };
  }

  /** Vectors and their ids as a file holds them. */
  tensors({ values, ids }: Survivors = this.survivors()): ReadonlyMap<string, FileTensor> {
    return new Map([
      ['rows', fileTensor(values, [ids.length, this.D])],
      ['ids', fileTensor(ids)],
    ]);
  }

  /** Forgets all vectors; ids go on from where they were. */
  clear(): void {
    this.count = 0;
    this.live = 0;
    this.values = new ARRAYS[this.storage](0);
    this.ids = new Int32Array(0);
    this.alive = new Uint8Array(0);
    this.lengths = new Float64Array(0);
    this.slotOf = undefined;
  }

  /** The numbers of stored values; those of 16 bits are decoded. */
  numbers(values: StoredValues): Rows {
    return values instanceof Uint16Array ? decodeFloat16(values) : values;
  }

  get bytes(): number {
    return this.count * (this.D * this.values.BYTES_PER_ELEMENT + 5) + this.lengths.byteLength;
  }
}
