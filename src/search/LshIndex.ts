import { Door } from '../door.js';
import type { VectorFamily } from '../hashing/family.js';
import { hyperplanes } from '../hashing/hyperplanes.js';
import type { Batch, Finder } from './candidates.js';
import type { SearchDoor } from './door.js';
import { HashIndex } from './HashIndex.js';
import type { EffortOptions, HashIndexOptions, IndexStats } from './options.js';
import { Segment, type TableStats, withSegment } from './tables.js';
import { Tuning } from './tune.js';
import type { Allowed } from './VectorIndex.js';

/**
 * Hash tables: vectors with equal codes share a bucket, and a query is compared with those in its buckets, and in the
 * buckets next to them (query-directed probing; Lv et al. 2007) or within a Hamming radius.
 *
 * The default family has 8 tables of 16 hyperplanes; about log2(n/16) bits suit n vectors.
 */
export class LshIndex extends HashIndex {
  /** What its tables are made by. */
  readonly family: VectorFamily;
  protected readonly tuning: Tuning;
  protected readonly effortNames = {
    probes: true,
    hammingRadius: true,
    targetRecall: true,
    maxCandidates: true,
  } as const;
  /** In order of slots. */
  private segments: Segment[] = [];

  /** @throws RangeError or TypeError naming the option. */
  constructor(options: HashIndexOptions) {
    super('LshIndex', options);
    this.family = options.family ?? hyperplanes({ D: this.D });
    this.tuning = new Tuning('probes', Math.min(this.family.N, MOST_PROBES));
  }

  override stats(): IndexStats & {
    /** The buckets of the largest segment, which are all until vectors are added. */
    readonly tables: readonly TableStats[];
    /** Parts that are searched one after the other: what was built, and what was added since. */
    readonly segments: number;
  } {
    const stats = super.stats();
    const [first] = this.segments;
    return {
      ...stats,
      bytes: this.segments.reduce((sum, segment) => sum + segment.bytes, stats.bytes),
      segments: this.segments.length,
      tables: Array.from({ length: first ? this.family.tables : 0 }, (_, t) => (first as Segment).stats(t)),
    };
  }

  protected take(codes: Int32Array, n: number): void {
    if (n === 0) {
      return;
    }
    const ofTables = Array.from({ length: this.family.tables }, (_, t) => codes.slice(t * n, (t + 1) * n));
    this.segments = withSegment(this.segments, new Segment(this.store.count - n, ofTables));
  }

  protected codesBySlot(): Int32Array {
    const { count } = this.store;
    const codes = new Int32Array(this.family.tables * count);
    for (const segment of this.segments) {
      segment.codes.forEach((ofTable, table) => {
        codes.set(ofTable, table * count + segment.first);
      });
    }
    return codes;
  }

  protected forget(): void {
    this.segments = [];
    this.tuning.forget();
  }

  /** Tables are walked by the CPU: what they lead to is scattered, and little. */
  protected async deviceSearch(): Promise<undefined> {
    return undefined;
  }

  protected async finder(
    batch: Batch,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
    least: number,
  ): Promise<Finder> {
    const { visit, most } = await this.visits(batch, options, door, least);
    const { count } = this.store;
    const slots = new Int32Array(Math.min(most, count));
    const seen = new Uint8Array(count);
    let found = 0;
    const take = (slot: number) => {
      if (seen[slot] === 0 && allowed[slot] === 1 && found < slots.length) {
        seen[slot] = 1;
        slots[found++] = slot;
      }
    };
    const find = (i: number) => {
      for (let c = 0; c < found; c++) {
        seen[slots[c] as number] = 0;
      }
      found = 0;
      visit(i, take, () => found === slots.length);
      return found;
    };
    return { slots, find };
  }

  /** Which slots a query visits, in order. */
  private async visits(
    batch: Batch,
    { probes, hammingRadius, targetRecall, maxCandidates }: EffortOptions,
    door: SearchDoor,
    least: number,
  ): Promise<{ readonly visit: Visit; readonly most: number }> {
    if ([probes, hammingRadius, targetRecall].filter((option) => option !== undefined).length > 1) {
      throw door.range(
        'only one of `probes`, `hammingRadius` and `targetRecall` can be given. Leave the others out.',
      );
    }
    const tuned: EffortOptions = targetRecall === undefined ? {} : this.tuning.effort(targetRecall, door);
    const enough = tuned.maxCandidates && Math.max(least, tuned.maxCandidates);
    const most = door.integer('maxCandidates', maxCandidates ?? enough ?? Number.MAX_SAFE_INTEGER, 1);
    if (hammingRadius !== undefined) {
      return { most, visit: await this.ownBuckets(batch, door, this.radius(hammingRadius, door)) };
    }
    const count = door.integer('probes', tuned.probes ?? probes ?? 1, 1, MOST_PROBES);
    return { most, visit: count === 1 ? await this.ownBuckets(batch, door) : this.probed(batch, count) };
  }

  /** The buckets of the query's own code, and with a radius of the codes within it, table after table. */
  private async ownBuckets({ rows, n }: Batch, door: SearchDoor, radius?: number): Promise<Visit> {
    const codes = await this.codesOf(this.family, rows, door);
    return (i, take) => {
      for (let table = 0; table < this.family.tables; table++) {
        const code = codes[table * n + i] as number;
        for (const segment of this.segments) {
          if (radius === undefined) {
            segment.visit(table, code, take);
          } else {
            segment.visitWithin(table, code, radius, take);
          }
        }
      }
    };
  }

  /** The own bucket of every table, then the likeliest other one of every table, and so on. */
  private probed({ rows }: Batch, count: number): Visit {
    const { D, family } = this;
    const hashed = this.hashed(rows);
    return (i, take, full) => {
      const codes = family.probes(hashed.subarray(i * D, (i + 1) * D), count);
      const each = codes.length / family.tables;
      for (let probe = 0; probe < each && !full(); probe++) {
        for (let table = 0; table < family.tables; table++) {
          for (const segment of this.segments) {
            segment.visit(table, codes[table * each + probe] as number, take);
          }
        }
      }
    };
  }

  private radius(given: number, door: SearchDoor): number {
    const { family } = this;
    if (family.bits === 0) {
      throw door.range(
        `\`hammingRadius\` needs codes of bits, which those of ${family.name} are not. Use \`probes\`.`,
      );
    }
    return door.integer('hammingRadius', given, 0, family.bits);
  }
}

/** Calls `take` with the slots that query `i` visits, until `full`. */
type Visit = (i: number, take: (slot: number) => void, full: () => boolean) => void;

/** Most codes that a query visits in a table: naming the next likeliest takes longer the more there are. */
const MOST_PROBES = 2 ** 20;
/** Bits of a code whose neighbours a float64 can count. */
const MOST_BITS = 1000;

/**
 * Codes of `bits` bits that differ from one in at most `radius` bits: what a Hamming radius visits.
 *
 * @throws RangeError for what are no integers from 0 up, and for more than 1,000 bits.
 */
export function codesWithin(bits: number, radius: number): number {
  const door = new Door('codesWithin');
  door.integer('bits', bits, 0, MOST_BITS);
  door.integer('radius', radius, 0);
  let codes = 0;
  let choose = 1;
  for (let r = 0; r <= Math.min(bits, radius); r++) {
    codes += choose;
    choose = (choose * (bits - r)) / (r + 1);
  }
  return codes;
}
