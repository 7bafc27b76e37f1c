import { type BitPlanes, BLOCK } from './BitPlanes.js';
import type { Finder } from './candidates.js';
import { countBits } from './packedCodes.js';

/** Queries that go through the codes together: what two have in common is added up once. */
const TOGETHER = 2;

/** What may be found. */
interface Limits {
  /** Slots that there are. */
  readonly count: number;
  readonly allowed: Uint8Array;
  readonly most: number;
  readonly radius: number;
}

/**
 * Finds, for each query's code, the slots whose codes differ from it in the fewest bits: `most` of them, of equals the
 * first, or those within a radius. They come in order of slot.
 */
export function hammingFinder(planes: BitPlanes, queries: readonly Int32Array[], limits: Limits): Finder {
  const { count, most } = limits;
  const slots = new Int32Array(Math.max(1, Math.min(most, count)));
  const scans = Array.from({ length: TOGETHER }, () => new HammingScan(planes, limits, slots));
  const find = (i: number) => {
    if (i % TOGETHER === 0) {
      scanTogether(planes, queries.slice(i, i + TOGETHER), scans, count);
    }
    return (scans[i % TOGETHER] as HammingScan).end();
  };
  return { slots, find };
}

function scanTogether(
  planes: BitPlanes,
  queries: readonly Int32Array[],
  scans: readonly HammingScan[],
  count: number,
): void {
  const common = queries.reduce((a, b) => a.map((word, i) => word & (b[i] as number)));
  const commonPlanes = planes.planesOf(common);
  const running = queries.map((query, j) => (scans[j] as HammingScan).begin(query, common));
  for (let block = 0; block < count / BLOCK; block++) {
    planes.addCommon(block, commonPlanes);
    for (const scan of running) {
      scan.pass(block);
    }
  }
}

/** The scan for one query. */
class HammingScan {
  private kept = new Int32Array(1024);
  private distances = new Int32Array(1024);
  private total = 0;
  /** How many are kept of each distance, … */
  private readonly histogram: Int32Array;
  /** … and how many within the limit, beyond which none is among the nearest any more. */
  private inside = 0;
  private limit = 0;
  private sumOfEqual = 0;
  /** Planes of what the query has alone. */
  private planes = new Int32Array(0);

  constructor(
    private readonly codes: BitPlanes,
    private readonly limits: Limits,
    private readonly slots: Int32Array,
  ) {
    this.histogram = new Int32Array(codes.bits + 1);
  }

  begin(query: Int32Array, common: Int32Array): this {
    const { codes } = this;
    this.planes = codes.planesOf(query.map((word, i) => word & ~(common[i] as number)));
    this.sumOfEqual = codes.bits + query.reduce((ones, word) => ones + countBits(word), 0);
    this.limit = Math.min(this.limits.radius, codes.bits);
    this.histogram.fill(0);
    this.inside = 0;
    this.total = 0;
    return this;
  }

  /** Keeps those of a block that may be among the nearest. */
  pass(block: number): void {
    const { codes, sumOfEqual } = this;
    let near = codes.sumsFrom(sumOfEqual - this.limit, block, this.planes);
    for (; near !== 0; near &= near - 1) {
      const lane = 31 - Math.clz32(near & -near);
      this.offer(block * BLOCK + lane, sumOfEqual - codes.sum(lane));
    }
  }

  /** Writes the nearest to `slots`, and returns how many they are. */
  end(): number {
    const { limit, slots } = this;
    let left = slots.length - (this.inside - (this.histogram[limit] as number)); // at the limit itself
    let found = 0;
    for (let i = 0; i < this.total; i++) {
      const distance = this.distances[i] as number;
      if (distance < limit || (distance === limit && left-- > 0)) {
        slots[found++] = this.kept[i] as number;
      }
    }
    return found;
  }

  private offer(slot: number, distance: number): void {
    const { histogram, slots } = this;
    // Beyond the end nothing is allowed, not even 0.
    if (distance > this.limit || this.limits.allowed[slot] !== 1) {
      return;
    }
    this.keep(slot, distance);
    histogram[distance] = (histogram[distance] as number) + 1;
    this.inside++;
    while (this.inside - (histogram[this.limit] as number) >= slots.length) {
      this.inside -= histogram[this.limit] as number;
      this.limit--;
    }
  }

  private keep(slot: number, distance: number): void {
    if (this.total === this.kept.length) {
      const { kept, distances } = this;
      this.kept = new Int32Array(2 * this.total);
      this.kept.set(kept);
      this.distances = new Int32Array(2 * this.total);
      this.distances.set(distances);
    }
    this.kept[this.total] = slot;
    this.distances[this.total++] = distance;
  }
}
