import { type BitPlanes, BLOCK } from './BitPlanes.js';
import type { Finder } from './candidates.js';
import { countBits } from './packedCodes.js';
import { halfOf, similarOrder } from './similarOrder.js';

/** Queries that go through the codes together, alike ones: what they have in common is added up once, as in a tree. */
const TOGETHER = 8;

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
  const order = similarOrder(queries);
  let asked = 0;
  const find = () => {
    if (asked % TOGETHER === 0) {
      const next = Array.from(order.subarray(asked, asked + TOGETHER), (i) => queries[i] as Int32Array);
      run(planes, stepsOf(planes, next, scans), count);
    }
    return (scans[asked++ % TOGETHER] as HammingScan).end();
  };
  return { slots, order, find };
}

/** What is done for each block: planes are added to the sums of the level below, and those of a whole query are scanned. */
interface Step {
  readonly level: number;
  readonly planes: Int32Array;
  readonly scan?: HammingScan;
}

/** The steps for queries: first what they have in common beyond `known`, then the steps for one half, and for the other. */
function stepsOf(
  planes: BitPlanes,
  queries: readonly Int32Array[],
  scans: readonly HammingScan[],
  level = 0,
  known?: Int32Array,
): Step[] {
  const common = queries.reduce((a, b) => a.map((word, i) => word & (b[i] as number)));
  const added = planes.planesOf(common.map((word, i) => word & ~(known?.[i] ?? 0)));
  if (queries.length === 1) {
    return [{ level, planes: added, scan: (scans[0] as HammingScan).begin(common) }];
  }
  const half = halfOf(queries.length);
  const of = (from: number, to?: number) =>
    stepsOf(planes, queries.slice(from, to), scans.slice(from, to), level + 1, common);
  return [{ level, planes: added }, ...of(0, half), ...of(half)];
}

function run(planes: BitPlanes, steps: readonly Step[], count: number): void {
  for (let block = 0; block < count / BLOCK; block++) {
    for (const { level, planes: added, scan } of steps) {
      planes.add(block, added, level);
      scan?.pass(block, level);
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

  constructor(
    private readonly codes: BitPlanes,
    private readonly limits: Limits,
    private readonly slots: Int32Array,
  ) {
    this.histogram = new Int32Array(codes.bits + 1);
  }

  begin(query: Int32Array): this {
    const { codes } = this;
    this.sumOfEqual = codes.bits + query.reduce((ones, word) => ones + countBits(word), 0);
    this.limit = Math.min(this.limits.radius, codes.bits);
    this.histogram.fill(0);
    this.inside = 0;
    this.total = 0;
    return this;
  }

  /** Keeps those of a block that may be among the nearest, by their sums on a level. */
  pass(block: number, level: number): void {
    const { codes, sumOfEqual } = this;
    let near = codes.sumsFrom(sumOfEqual - this.limit, level);
    for (; near !== 0; near &= near - 1) {
      const lane = 31 - Math.clz32(near & -near);
      this.offer(block * BLOCK + lane, sumOfEqual - codes.sum(lane, level));
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
