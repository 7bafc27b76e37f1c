import { agreement } from '../hashing/minhash/MinHash.js';
import { murmurOfWords } from '../hashing/minhash/tokens.js';
import type { Banding } from './banding.js';
import { RowStore } from './RowStore.js';
import { type Key, TokenSets } from './TokenSets.js';
import { Segment, withSegment } from './tables.js';

/** Sets as they come in, or as they are saved. */
export interface SetBatch {
  /** `[n, k]` */
  readonly signatures: Uint32Array;
  /** The distinct tokens of each set; empty where they are not kept. */
  readonly keys: readonly ReadonlySet<Key>[];
}

/** The sets of a MinHashLsh by slot: signatures, tables of their bands, and the tokens where they are kept. */
export class SetStore {
  readonly slots: RowStore;
  private segments: Segment[] = [];
  private sets = new TokenSets();

  constructor(
    private readonly k: number,
    private banding: Banding,
    /** Whether similarities are those of the sets themselves, not of signatures. */
    private readonly exact: boolean,
  ) {
    // Signatures are kept as the bits of floats, which nothing reads as numbers.
    this.slots = new RowStore(k, 'float32');
  }

  append({ signatures, keys }: SetBatch, ids: Int32Array): void {
    if (keys.length > 0) {
      const { count } = this.slots;
      this.slots.append(new Float32Array(signatures.buffer, signatures.byteOffset, signatures.length), ids);
      this.segments = withSegment(this.segments, this.segmentFrom(count));
      for (const set of keys) {
        this.sets.append(set);
      }
    }
  }

  /** Cuts all signatures into other bands. */
  recut(banding: Banding): void {
    this.banding = banding;
    this.segments = this.slots.count === 0 ? [] : [this.segmentFrom(0)];
  }

  clear(): void {
    this.slots.clear();
    this.segments = [];
    this.sets = new TokenSets();
  }

  /** The slots from `first` on that share a band with a signature, each once, in order. */
  candidates(signature: Uint32Array, first = 0): Int32Array {
    const found = new Set<number>();
    for (let band = 0; band < this.banding.bands; band++) {
      const code = this.code(signature, band);
      for (const segment of this.segments) {
        segment.visit(band, code, (slot) => {
          if (slot >= first && this.slots.alive[slot] === 1) {
            found.add(slot);
          }
        });
      }
    }
    return Int32Array.from(found).sort();
  }

  /** How similar set `i` of a batch is to the one in a slot. */
  similarity({ signatures, keys }: SetBatch, i: number, slot: number): number {
    return this.exact
      ? this.sets.similarity(keys[i] as ReadonlySet<Key>, slot)
      : agreement(this.row(signatures, i), this.signature(slot));
  }

  /** How similar the sets in two slots are. */
  similarityOf(a: number, b: number): number {
    return this.exact ? this.sets.similarityOf(a, b) : agreement(this.signature(a), this.signature(b));
  }

  signature(slot: number): Uint32Array {
    const { buffer, byteOffset } = this.slots.values;
    return new Uint32Array(buffer, byteOffset + 4 * slot * this.k, this.k);
  }

  row(signatures: Uint32Array, i: number): Uint32Array {
    return signatures.subarray(i * this.k, (i + 1) * this.k);
  }

  /** The sets that can be found, and their ids, in order. */
  survivors(): { readonly batch: SetBatch; readonly ids: Int32Array } {
    const { values, ids } = this.slots.survivors();
    const alive = Array.from({ length: this.slots.count }, (_, slot) => slot).filter(
      (slot) => this.slots.alive[slot] === 1,
    );
    const signatures = new Uint32Array(values.buffer, values.byteOffset, values.length);
    return { batch: { signatures, keys: this.sets.keysOf(alive) }, ids };
  }

  /** Bytes of all but the tokens themselves. */
  get bytes(): number {
    return this.segments.reduce((sum, { bytes }) => sum + bytes, this.slots.bytes + this.sets.bytes);
  }

  /** The tables of the slots from the first on. */
  private segmentFrom(first: number): Segment {
    const slots = Array.from({ length: this.slots.count - first }, (_, i) => first + i);
    const codes = Array.from({ length: this.banding.bands }, (_, band) =>
      Int32Array.from(slots, (slot) => this.code(this.signature(slot), band)),
    );
    return new Segment(first, codes);
  }

  private code(signature: Uint32Array, band: number): number {
    const { rows } = this.banding;
    return murmurOfWords(signature.subarray(band * rows, (band + 1) * rows)) | 0;
  }
}
