import { distanceOf } from './distance.js';
import type { Metric, RangeResult } from './options.js';

interface Neighbour {
  readonly slot: number;
  readonly distance: number;
}

/** All that lies within a radius, query after query, in whatever order. */
export class Ranges {
  private readonly found: Neighbour[][] = [];
  private readonly candidates: number[] = [];
  private inside: Neighbour[] = [];

  /** @param idOf the id of each slot. */
  constructor(
    private readonly radius: number,
    private readonly idOf: Int32Array,
    private readonly metric: Metric,
  ) {}

  offer(slot: number, value: number): void {
    const distance = distanceOf(this.metric, value);
    if (distance <= this.radius) {
      this.inside.push({ slot, distance });
    }
  }

  /** Ends query `i`, which had so many candidates. */
  endQuery(i: number, candidates: number): void {
    this.found[i] = this.inside.sort((a, b) => a.distance - b.distance || a.slot - b.slot);
    this.inside = [];
    this.candidates[i] = candidates;
  }

  result(): RangeResult {
    const all = this.found.flat();
    let end = 0;
    const starts = Int32Array.from([0, ...this.found.map(({ length }) => (end += length))]);
    return {
      ids: Int32Array.from(all, ({ slot }) => this.idOf[slot] as number),
      distances: Float64Array.from(all, ({ distance }) => distance),
      starts,
      candidates: Int32Array.from(this.candidates),
    };
  }
}
