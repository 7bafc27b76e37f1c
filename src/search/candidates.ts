/** Queries compared, exactly, with the vectors that an index names as candidates. */
import type { Rows } from '../hashing/family.js';
import { distanceOf, innerProduct, lengthOf, squaredDistance } from './distance.js';
import { Nearest } from './nearest.js';
import type { Metric, QueryResult, RangeResult } from './options.js';
import { Ranges } from './Ranges.js';
import type { RowStore } from './RowStore.js';

/** Vectors of a batch, checked, and whatever an index knows of them besides. */
export interface Batch {
  readonly rows: Rows;
  readonly n: number;
}

/** Finds the slots that are to be compared with a query: as many as `find` returns, at the start of `slots`. */
export interface Finder {
  readonly slots: Int32Array;
  /** In which order queries are asked for. @default from 0 on */
  readonly order?: Int32Array;
  find(i: number): number;
}

/** The nearest slots of n queries, `width` places each. */
export interface Found {
  readonly slots: Int32Array;
  /** What was compared, in the order of the distances. */
  readonly values: Float64Array;
  readonly found: Int32Array;
  readonly candidates: Int32Array;
  readonly width: number;
}

/** The k nearest candidates of each query. */
export function nearestOf(
  store: RowStore,
  metric: Metric,
  { rows, n }: Batch,
  k: number,
  finder: Finder,
): Found {
  const slots = new Int32Array(n * k);
  const values = new Float64Array(n * k);
  const found = new Int32Array(n);
  const candidates = new Int32Array(n);
  const best = new Nearest(k);
  const compare = comparer(store, metric, rows);
  for (const i of finder.order ?? Array(n).keys()) {
    const count = finder.find(i);
    best.clear();
    for (let c = 0; c < count; c++) {
      const slot = finder.slots[c] as number;
      best.offer(slot, compare(i, slot, best.bound));
    }
    slots.set(best.slots.subarray(0, best.count), i * k);
    values.set(best.values.subarray(0, best.count), i * k);
    found[i] = best.count;
    candidates[i] = count;
  }
  return { slots, values, found, candidates, width: k };
}

/** All candidates of each query within a radius. */
export function withinOf(
  store: RowStore,
  metric: Metric,
  { rows, n }: Batch,
  radius: number,
  finder: Finder,
): RangeResult {
  const ranges = new Ranges(radius, store.ids);
  const compare = comparer(store, metric, rows);
  for (const i of finder.order ?? Array(n).keys()) {
    const count = finder.find(i);
    for (let c = 0; c < count; c++) {
      const slot = finder.slots[c] as number;
      ranges.offer(slot, distanceOf(metric, compare(i, slot)));
    }
    ranges.endQuery(i, count);
  }
  return ranges.result();
}

/** What was found, in k places for each of n queries, by ids and distances. */
export function toResult(
  nearest: Found,
  n: number,
  k: number,
  idOf: Int32Array,
  metric: Metric,
): QueryResult {
  const ids = new Int32Array(n * k).fill(-1);
  const distances = new Float64Array(n * k).fill(Number.POSITIVE_INFINITY);
  const { slots, values, found, candidates, width } = nearest;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < (found[i] as number); j++) {
      ids[i * k + j] = idOf[slots[i * width + j] as number] as number;
      distances[i * k + j] = distanceOf(metric, values[i * width + j] as number);
    }
  }
  return { ids, distances, candidates, found, complete: found.every((count) => count === k), k };
}

/** Compares query `i` with the vector in a slot, in the order of the distances; beyond `bound`, by a part of it. */
type Comparer = (i: number, slot: number, bound?: number) => number;

function comparer(store: RowStore, metric: Metric, rows: Rows): Comparer {
  const queries = new Float64Array(rows); // once, not for each vector that they are compared with
  const { D, values } = store;
  const measure: typeof squaredDistance = metric === 'euclidean' ? squaredDistance : innerProduct;
  const compare: Comparer =
    values instanceof Uint16Array
      ? (i, slot, bound) => measure(queries, i * D, store.row(slot), 0, D, bound)
      : (i, slot, bound) => measure(queries, i * D, values, slot * D, D, bound);
  switch (metric) {
    case 'euclidean':
      return compare;
    case 'innerProduct':
      return (i, slot) => -compare(i, slot);
    case 'cosine': {
      const lengths = Float64Array.from({ length: queries.length / D }, (_, i) =>
        lengthOf(queries, i * D, D),
      );
      return (i, slot) => {
        const both = (lengths[i] as number) * store.length(slot);
        return both === 0 ? 1 : 1 - compare(i, slot) / both;
      };
    }
  }
}
