import { countBits } from './packedCodes.js';

/** One table: slots sorted by code, and where each code's begin. */
interface Table {
  /** Distinct codes, as unsigned numbers, ascending. */
  readonly codes: Float64Array;
  /** Where the slots of each code begin, and the end. */
  readonly starts: Int32Array;
  readonly slots: Int32Array;
}

/** Buckets of one table that are in use. */
export interface TableStats {
  /** How many. */
  readonly buckets: number;
  /** Vectors of a bucket, on average. */
  readonly mean: number;
  /** Vectors of the smallest bucket. */
  readonly least: number;
  /** Vectors of the largest. */
  readonly most: number;
}

/** The tables of consecutive slots: a build, or what was added since. */
export class Segment {
  private readonly tables: readonly Table[];

  /** @param codes `[tables]`, each `[count]`: the codes of the slots from `first` on. */
  constructor(
    readonly first: number,
    readonly codes: readonly Int32Array[],
  ) {
    this.tables = codes.map((ofTable) => sortByCode(ofTable, first));
  }

  get count(): number {
    return this.codes[0]?.length ?? 0;
  }

  /** Calls `visit` with every slot of a code. */
  visit(table: number, code: number, visit: (slot: number) => void): void {
    const { codes, starts, slots } = this.tables[table] as Table;
    const bucket = indexOf(codes, code >>> 0);
    if (bucket >= 0) {
      for (let i = starts[bucket] as number; i < (starts[bucket + 1] as number); i++) {
        visit(slots[i] as number);
      }
    }
  }

  /** Calls `visit` with every slot whose code differs in at most `radius` bits. */
  visitWithin(table: number, code: number, radius: number, visit: (slot: number) => void): void {
    const { codes, starts, slots } = this.tables[table] as Table;
    for (let bucket = 0; bucket < codes.length; bucket++) {
      if (countBits((codes[bucket] as number) ^ code) <= radius) {
        for (let i = starts[bucket] as number; i < (starts[bucket + 1] as number); i++) {
          visit(slots[i] as number);
        }
      }
    }
  }

  stats(table: number): TableStats {
    const { codes, starts, slots } = this.tables[table] as Table;
    const sizes = Array.from(codes, (_, i) => (starts[i + 1] as number) - (starts[i] as number));
    return {
      buckets: codes.length,
      mean: codes.length === 0 ? 0 : slots.length / codes.length,
      least: sizes.reduce((least, size) => Math.min(least, size), slots.length),
      most: sizes.reduce((most, size) => Math.max(most, size), 0),
    };
  }

  get bytes(): number {
    return this.tables.reduce(
      (sum, { codes, starts, slots }) =>
        sum + codes.byteLength + starts.byteLength + slots.byteLength + 4 * slots.length,
      0,
    );
  }
}

/**
 * Segments, each more than twice as long as the next, with one more behind: n additions sort n·log(n) codes.
 */
export function withSegment(segments: readonly Segment[], segment: Segment): Segment[] {
  const kept = [...segments];
  let last = segment;
  for (
    let before = kept.at(-1);
    before !== undefined && before.count <= 2 * last.count;
    before = kept.at(-1)
  ) {
    last = joinSegments(before, last);
    kept.pop();
  }
  return [...kept, last];
}

/** The tables of two segments that follow each other. */
function joinSegments(before: Segment, after: Segment): Segment {
  const codes = before.codes.map((own, table) => {
    const all = new Int32Array(before.count + after.count);
    all.set(own);
    all.set(after.codes[table] as Int32Array, before.count);
    return all;
  });
  return new Segment(before.first, codes);
}

function sortByCode(codes: Int32Array, first: number): Table {
  const n = codes.length;
  // Code and place in one number, which float64 holds: 32 bits and up to 2^21 vectors, or 29 and 2^24.
  const keys = Float64Array.from(codes, (code, i) => (code >>> 0) * n + i).sort();
  const slots = new Int32Array(n);
  const distinct: number[] = [];
  const starts: number[] = [];
  for (let i = 0; i < n; i++) {
    const key = keys[i] as number;
    const code = Math.floor(key / n);
    slots[i] = first + (key - code * n);
    if (distinct.at(-1) !== code) {
      distinct.push(code);
      starts.push(i);
    }
  }
  starts.push(n);
  return { codes: Float64Array.from(distinct), starts: Int32Array.from(starts), slots };
}

function indexOf(sorted: Float64Array, code: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const value = sorted[middle] as number;
    if (value === code) {
      return middle;
    }
    if (value < code) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return -1;
}
