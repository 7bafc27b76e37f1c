/** Queries compared, exactly, with the vectors that an index names as candidates. */
import type { Rows } from '../hashing/family.js';
import { innerProduct, lengthOf, squaredDistance } from './distance.js';
import type { Metric } from './options.js';
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

/** What keeps the nearest candidates of queries, one query after another. */
export interface Keeper {
  /** What is beyond it need not be offered. @default Infinity */
  readonly bound?: number;
  offer(slot: number, value: number): void;
  endQuery(i: number, candidates: number): void;
}

/** Offers each query's candidates by what is compared, in the order of the distances. */
export function offerCandidates(
  store: RowStore,
  metric: Metric,
  { rows, n }: Batch,
  finder: Finder,
  keeper: Keeper,
): void {
  const compare = comparer(store, metric, rows);
  for (const i of finder.order ?? Array(n).keys()) {
    const count = finder.find(i);
    for (let c = 0; c < count; c++) {
      const slot = finder.slots[c] as number;
      keeper.offer(slot, compare(i, slot, keeper.bound));
    }
    keeper.endQuery(i, count);
  }
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
