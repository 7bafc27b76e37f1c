import { type BitPlanes, BLOCK } from './BitPlanes.js';

/**
 * Finds, for one code after another, the slots whose codes differ in the fewest bits: `most` of them, of equals the
 * first, or those within a radius.
 */
export class HammingScan {
  /** Slots found, in order of slot. */
  readonly slots: Int32Array;
  private kept = new Int32Array(1024);
  private distances = new Int32Array(1024);
  private readonly histogram: Int32Array;

  constructor(
    private readonly codes: BitPlanes,
    private readonly count: number,
    most: number,
  ) {
    this.slots = new Int32Array(Math.max(1, Math.min(most, count)));
    this.histogram = new Int32Array(codes.bits + 1);
  }

  /** How many slots were found for a code. */
  find(query: Int32Array, allowed: Uint8Array, radius: number): number {
    const { histogram, slots, codes, count } = this;
    const { planes, ones } = codes.planesOf(query);
    const sumOfEqual = codes.bits + ones;
    histogram.fill(0);
    const most = slots.length;
    let limit = Math.min(radius, codes.bits);
    let inside = 0; // kept within the limit
    let total = 0;
    for (let first = 0; first < count; first += BLOCK) {
      let near = codes.sumsFrom(sumOfEqual - limit, first / BLOCK, planes);
      for (; near !== 0; near &= near - 1) {
        const lane = 31 - Math.clz32(near & -near);
        const distance = sumOfEqual - codes.sum(lane);
        // Beyond the end nothing is allowed, not even 0.
        if (distance > limit || allowed[first + lane] !== 1) {
          continue;
        }
        this.keep(total++, first + lane, distance);
        histogram[distance] = (histogram[distance] as number) + 1;
        inside++;
        while (inside - (histogram[limit] as number) >= most) {
          inside -= histogram[limit] as number;
          limit--;
        }
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
