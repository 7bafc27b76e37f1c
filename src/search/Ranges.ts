import type { RangeResult } from './options.js';

/** All that lies within a radius, query after query. */
export class Ranges {
  private readonly ids: number[] = [];
  private readonly distances: number[] = [];
  private readonly starts = [0];
  private readonly candidates: number[] = [];
  private readonly inside: { readonly slot: number; readonly distance: number }[] = [];

  /** @param idOf the id of each slot. */
  constructor(
    private readonly radius: number,
    private readonly idOf: Int32Array,
  ) {}

  offer(slot: number, distance: number): void {
    if (distance <= this.radius) {
      this.inside.push({ slot, distance });
    }
  }

  /** Ends a query, which had so many candidates. */
  endQuery(candidates: number): void {
    const sorted = this.inside.splice(0).sort((a, b) => a.distance - b.distance || a.slot - b.slot);
    for (const { slot, distance } of sorted) {
      this.ids.push(this.idOf[slot] as number);
      this.distances.push(distance);
    }
    this.starts.push(this.ids.length);
    this.candidates.push(candidates);
  }

  result(): RangeResult {
    return {
      ids: Int32Array.from(this.ids),
      distances: Float64Array.from(this.distances),
      starts: Int32Array.from(this.starts),
      candidates: Int32Array.from(this.candidates),
    };
  }
}
