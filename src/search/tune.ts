import type { Rows } from '../hashing/family.js';
import { BruteForceIndex } from './BruteForceIndex.js';
import type { SearchDoor } from './door.js';
import type { QueryOptions, QueryResult, TuneOptions, TuneResult, VectorInput } from './options.js';
import type { RowStore } from './RowStore.js';
import type { VectorIndex } from './VectorIndex.js';

/** Vectors of the index that stand in for queries. */
const SAMPLE = 500;

type Effort = 'probes' | 'maxCandidates';

/** The efforts of an index that were measured, and the recall that each reached. */
export class Tuning {
  measured: readonly TuneResult[] = [];

  /** @param most the largest effort there is. */
  constructor(
    private readonly lever: Effort,
    private readonly most: number,
  ) {}

  /** Takes what a file says was measured. */
  restore(saved: unknown): void {
    this.measured = saved as readonly TuneResult[];
  }

  /** What was measured says nothing of other vectors. */
  forget(): void {
    this.measured = [];
  }

  /** The least effort that reached a recall when it was measured. */
  effort(targetRecall: number, door: SearchDoor): number {
    checkRecall(targetRecall, door);
    const enough = this.measured.filter(({ recall }) => recall >= targetRecall).map(({ effort }) => effort);
    if (enough.length === 0) {
      throw door.failure(
        `no effort is known to reach \`targetRecall\` ${targetRecall}. Call tune({ targetRecall: ${targetRecall} }) first.`,
      );
    }
    return Math.min(...enough);
  }

  /** Doubles the effort until it is enough, then halves the gap. */
  async tune(
    index: VectorIndex,
    store: RowStore,
    { targetRecall, k = 10, queries }: TuneOptions,
    door: SearchDoor,
  ): Promise<TuneResult> {
    checkRecall(targetRecall, door);
    door.integer('k', k, 1, 2 ** 20);
    const measure = await this.measurement(index, store, k, queries);
    let low = 0;
    let high = 1;
    let best = await measure(high);
    const highest = Math.min(store.count, this.most);
    while (best.recall < targetRecall && high < highest) {
      low = high;
      high = Math.min(highest, 2 * high);
      best = await measure(high);
    }
    while (high - low > 1 && best.recall >= targetRecall) {
      const middle = (low + high) >> 1;
      const result = await measure(middle);
      if (result.recall >= targetRecall) {
        best = result;
        high = middle;
      } else {
        low = middle;
      }
    }
    return best;
  }

  private async measurement(
    index: VectorIndex,
    store: RowStore,
    k: number,
    queries: VectorInput | undefined,
  ): Promise<(effort: number) => Promise<TuneResult>> {
    const { D, metric } = index;
    const { values, ids } = store.survivors();
    const truth = new BruteForceIndex({ D, metric, storage: 'float64' });
    await truth.build(Float64Array.from(store.numbers(values)), ids);
    const sample = queries === undefined ? sampled(store.numbers(values), ids, D) : undefined;
    const rows = queries ?? (sample?.rows as Rows);
    // A vector of the index finds itself first: one more is asked for.
    const options: QueryOptions = { k: sample === undefined ? k : k + 1 };
    const exact = await truth.query(rows, options);
    truth.dispose();
    return async (effort) => {
      const found = await index.query(rows, { ...options, [this.lever]: effort });
      const result = { effort, recall: recallOf(found, exact, sample?.ids) };
      this.measured = [...this.measured, result];
      return result;
    };
  }
}

function checkRecall(targetRecall: number, door: SearchDoor): void {
  if (!(typeof targetRecall === 'number' && targetRecall > 0 && targetRecall <= 1)) {
    throw door.range(`\`targetRecall\` must be a number above 0, at most 1, got ${targetRecall}.`);
  }
}

/** Vectors spread evenly over the index. */
function sampled(rows: Rows, ids: Int32Array, D: number): { readonly rows: Rows; readonly ids: Int32Array } {
  const n = Math.min(SAMPLE, ids.length);
  const chosen = Int32Array.from({ length: n }, (_, i) => Math.floor((i * ids.length) / n));
  const values = new Float32Array(n * D);
  chosen.forEach((slot, i) => {
    values.set(rows.subarray(slot * D, (slot + 1) * D), i * D);
  });
  return { rows: values, ids: chosen.map((slot) => ids[slot] as number) };
}

/**
 * The share of the exact neighbours that were found, over all queries: recall.
 *
 * @param own the id of each query among the vectors, where it is one of them and does not count.
 */
export function recallOf(
  found: Pick<QueryResult, 'ids' | 'k'>,
  exact: Pick<QueryResult, 'ids' | 'k'>,
  own?: ArrayLike<number>,
): number {
  const n = exact.ids.length / exact.k;
  let wanted = 0;
  let hit = 0;
  for (let i = 0; i < n; i++) {
    const counts = (id: number) => id >= 0 && id !== own?.[i];
    const truth = exact.ids.subarray(i * exact.k, (i + 1) * exact.k).filter(counts);
    const seen = new Set(found.ids.subarray(i * found.k, (i + 1) * found.k));
    wanted += truth.length;
    hit += truth.filter((id) => seen.has(id)).length;
  }
  return wanted === 0 ? 1 : hit / wanted;
}
