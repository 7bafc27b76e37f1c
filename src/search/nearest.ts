import { distanceOf } from './distance.js';
import type { Metric, QueryResult } from './options.js';

/** The k smallest numbers offered, in order; of equals, those of the lower slot. */
export class Nearest {
  readonly slots: Int32Array;
  readonly values: Float64Array;
  count = 0;

  constructor(private readonly k: number) {
    this.slots = new Int32Array(k);
    this.values = new Float64Array(k);
  }

  /** What is beyond it need not be offered. */
  get bound(): number {
    return this.count < this.k ? Number.POSITIVE_INFINITY : (this.values[this.k - 1] as number);
  }

  offer(slot: number, value: number): void {
    let i = this.count;
    if (i === this.k) {
      if (i === 0 || !this.comesBefore(slot, value, i - 1)) {
        return;
      }
      i--;
    } else {
      this.count++;
    }
    for (; i > 0 && this.comesBefore(slot, value, i - 1); i--) {
      this.slots[i] = this.slots[i - 1] as number;
      this.values[i] = this.values[i - 1] as number;
    }
    this.slots[i] = slot;
    this.values[i] = value;
  }

  clear(): void {
    this.count = 0;
  }

  private comesBefore(slot: number, value: number, i: number): boolean {
    const other = this.values[i] as number;
    return value < other || (value === other && slot < (this.slots[i] as number));
  }
}

/** The nearest of each of n queries, `width` places each, by what was compared. */
export class Neighbours {
  /** With how many each query was compared. */
  readonly candidates: Int32Array;
  private readonly slots: Int32Array;
  private readonly values: Float64Array;
  private readonly found: Int32Array;
  private readonly best: Nearest;

  constructor(
    n: number,
    private readonly width: number,
  ) {
    this.slots = new Int32Array(n * width);
    this.values = new Float64Array(n * width);
    this.found = new Int32Array(n);
    this.candidates = new Int32Array(n);
    this.best = new Nearest(width);
  }

  get bound(): number {
    return this.best.bound;
  }

  offer(slot: number, value: number): void {
    this.best.offer(slot, value);
  }

  /** Ends query `i`, which had so many candidates. */
  endQuery(i: number, candidates: number): void {
    const { best, width } = this;
    this.slots.set(best.slots.subarray(0, best.count), i * width);
    this.values.set(best.values.subarray(0, best.count), i * width);
    this.found[i] = best.count;
    this.candidates[i] = candidates;
    best.clear();
  }

  /** By ids and distances, in k places for each query. */
  result(k: number, idOf: Int32Array, metric: Metric): QueryResult {
    const { slots, values, found, candidates, width } = this;
    const ids = new Int32Array(found.length * k).fill(-1);
    const distances = new Float64Array(found.length * k).fill(Number.POSITIVE_INFINITY);
    for (let i = 0; i < found.length; i++) {
      for (let j = 0; j < (found[i] as number); j++) {
        ids[i * k + j] = idOf[slots[i * width + j] as number] as number;
        distances[i * k + j] = distanceOf(metric, values[i * width + j] as number);
      }
    }
    return { ids, distances, candidates, found, complete: found.every((count) => count === k), k };
  }
}
