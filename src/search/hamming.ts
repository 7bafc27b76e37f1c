/** Bits that are 1 in an int32. */
export function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bits that are 1 in four int32: their counts are added up before they are whole. */
function countBits4(a: number, b: number, c: number, d: number): number {
  const a2 = a - ((a >>> 1) & 0x55555555);
  const b2 = b - ((b >>> 1) & 0x55555555);
  const c2 = c - ((c >>> 1) & 0x55555555);
  const d2 = d - ((d >>> 1) & 0x55555555);
  const x = (a2 & 0x33333333) + ((a2 >>> 2) & 0x33333333) + (b2 & 0x33333333) + ((b2 >>> 2) & 0x33333333);
  const y = (c2 & 0x33333333) + ((c2 >>> 2) & 0x33333333) + (d2 & 0x33333333) + ((d2 >>> 2) & 0x33333333);
  const bytes = (x & 0x0f0f0f0f) + ((x >>> 4) & 0x0f0f0f0f) + (y & 0x0f0f0f0f) + ((y >>> 4) & 0x0f0f0f0f);
  return Math.imul(bytes, 0x01010101) >>> 24;
}

/** Words of a packed code: whole fours, so that a scan can count four at a time. */
export function packedWords(tables: number): number {
  return Math.ceil(tables / 4) * 4;
}

/** Codes `[tables, n]` as rows `[n, words]`, the words beyond the tables 0. */
export function packCodes(codes: Int32Array, tables: number): Int32Array {
  const n = codes.length / tables;
  const words = packedWords(tables);
  const packed = new Int32Array(n * words);
  for (let table = 0; table < tables; table++) {
    for (let i = 0; i < n; i++) {
      packed[i * words + table] = codes[table * n + i] as number;
    }
  }
  return packed;
}

/**
 * Finds, for one code after another, the slots whose codes differ in the fewest bits: `most` of them, of equals the
 * first, or those within a radius. A code is dropped as soon as its first words differ in more bits than the worst
 * that is still wanted.
 */
export class HammingScan {
  /** Slots found, in order of slot. */
  readonly slots: Int32Array;
  private kept: Int32Array;
  private distances: Int32Array;
  private readonly histogram: Int32Array;

  constructor(
    private readonly codes: Int32Array,
    private readonly words: number,
    private readonly count: number,
    most: number,
  ) {
    this.slots = new Int32Array(Math.max(1, Math.min(most, count)));
    this.kept = new Int32Array(1024);
    this.distances = new Int32Array(1024);
    this.histogram = new Int32Array(32 * words + 1);
  }

  /** How many slots were found for the code from `start` on. */
  find(query: Int32Array, start: number, allowed: Uint8Array, radius: number): number {
    const { histogram, slots, codes, words, count } = this;
    const q0 = query[start] as number;
    const q1 = query[start + 1] as number;
    const q2 = query[start + 2] as number;
    const q3 = query[start + 3] as number;
    histogram.fill(0);
    const most = slots.length;
    let limit = Math.min(radius, histogram.length - 1);
    let inside = 0; // kept within the limit
    let total = 0;
    for (let slot = 0, at = 0; slot < count; slot++, at += words) {
      let distance = countBits4(
        q0 ^ (codes[at] as number),
        q1 ^ (codes[at + 1] as number),
        q2 ^ (codes[at + 2] as number),
        q3 ^ (codes[at + 3] as number),
      );
      if (distance > limit) {
        continue;
      }
      for (let word = 4; word < words; word += 4) {
        distance += countBits4(
          (query[start + word] as number) ^ (codes[at + word] as number),
          (query[start + word + 1] as number) ^ (codes[at + word + 1] as number),
          (query[start + word + 2] as number) ^ (codes[at + word + 2] as number),
          (query[start + word + 3] as number) ^ (codes[at + word + 3] as number),
        );
      }
      if (distance > limit || allowed[slot] === 0) {
        continue;
      }
      this.keep(total++, slot, distance);
      histogram[distance] = (histogram[distance] as number) + 1;
      inside++;
      while (inside - (histogram[limit] as number) >= most) {
        inside -= histogram[limit] as number;
        limit--;
      }
    }
    return this.nearest(total, limit, most - (inside - (histogram[limit] as number)));
  }

  /** Moves what was kept within the limit to `slots`; at the limit itself, no more than `atLimit`. */
  private nearest(total: number, limit: number, atLimit: number): number {
    let left = atLimit;
    let found = 0;
    for (let i = 0; i < total; i++) {
      const distance = this.distances[i] as number;
      if (distance < limit || (distance === limit && left-- > 0)) {
        this.slots[found++] = this.kept[i] as number;
      }
    }
    return found;
  }

  private keep(i: number, slot: number, distance: number): void {
    if (i === this.kept.length) {
      const { kept, distances } = this;
      this.kept = new Int32Array(2 * i);
      this.kept.set(kept);
      this.distances = new Int32Array(2 * i);
      this.distances.set(distances);
    }
    this.kept[i] = slot;
    this.distances[i] = distance;
  }
}
