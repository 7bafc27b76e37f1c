import { show } from '../door.js';
import type { Rows } from '../hashing/family.js';
import { pcg } from '../hashing/random.js';
import { BruteForceIndex } from './BruteForceIndex.js';
import { SearchDoor } from './door.js';
import type { EffortOptions, QueryOptions, QueryResult, TuneOptions, TuneResult } from './options.js';
import type { RowStore, StoredValues } from './RowStore.js';
import type { VectorIndex } from './VectorIndex.js';

/** Vectors of the index that stand in for queries. */
const SAMPLE = 500;
/** Recall above the target that is not worth another measurement. */
const CLOSE = 0.0025;

/** Measures an effort with a sample of queries. */
type Measure = (effort: EffortOptions) => Promise<TuneResult>;

const NAMES: Record<keyof TuneOptions, true> = { targetRecall: true, k: true, queries: true };

/** The efforts of an index that were measured, and the recall that each reached. */
export class Tuning {
  measured: readonly TuneResult[] = [];

  /** @param most the largest number of `lever` there is. */
  constructor(
    private readonly lever: 'probes' | 'maxCandidates',
    private readonly most: number,
  ) {}

  /** Takes what a file says was measured. @throws Error for what never was. */
  restore(saved: unknown): void {
    if (!Array.isArray(saved) || !saved.every((result) => this.isResult(result))) {
      throw new Error('what it says was measured cannot have been');
    }
    this.measured = saved;
  }

  private isResult(result: Partial<TuneResult> | null): result is TuneResult {
    const { effort, recall = -1, error = -1, candidates = -1 } = result ?? {};
    const { [this.lever]: lever = 0, maxCandidates = 1 } = effort ?? {};
    const isCount = (count: number, most: number) => Number.isInteger(count) && count >= 1 && count <= most;
    return (
      isCount(lever, this.most) &&
      isCount(maxCandidates, Number.MAX_SAFE_INTEGER) &&
      recall >= 0 &&
      recall <= 1 &&
      error >= 0 &&
      candidates >= 0
    );
  }

  /** What was measured says nothing of other vectors. */
  forget(): void {
    this.measured = [];
  }

  /** Of the efforts that reached a recall when they were measured, the one that compared the fewest vectors. */
  effort(targetRecall: number, door: SearchDoor): EffortOptions {
    checkRecall(targetRecall, door);
    const [first, ...others] = this.measured.filter((result) => reaches(result, targetRecall));
    if (first === undefined) {
      throw door.failure(
        `no effort is known to reach \`targetRecall\` ${targetRecall}. Call tune({ targetRecall: ${targetRecall} }) first.`,
      );
    }
    return others.reduce((best, one) => (one.candidates < best.candidates ? one : best), first).effort;
  }

  /** Whole probes are steps too coarse to hit a target: of those that reach it, a part of the candidates does. */
  async tune(
    index: VectorIndex,
    store: RowStore,
    options: TuneOptions,
    door: SearchDoor,
  ): Promise<TuneResult> {
    door.known(options, NAMES);
    const { targetRecall, queries } = options;
    checkRecall(targetRecall, door);
    // No more can be found than there are.
    const k = Math.min(door.integer('k', options.k ?? 10, 1, 2 ** 20), Math.max(1, store.live));
    const given = queries && (await door.rows('queries', queries, index.D, index.storage));
    const measure = await this.measurement(index, store, k, given);
    const all = Math.max(1, store.count);
    const most = Math.min(all, this.most);
    const least = this.lever === 'probes' ? 1 : k;
    const found = await leastEnough(targetRecall, least, most, (effort) => measure({ [this.lever]: effort }));
    const { probes } = found.effort;
    return probes === undefined || !reaches(found, targetRecall)
      ? found
      : leastEnough(targetRecall, k, all, (maxCandidates) => measure({ probes, maxCandidates }));
  }

  private async measurement(
    index: VectorIndex,
    store: RowStore,
    k: number,
    queries: Rows | undefined,
  ): Promise<Measure> {
    const { D, metric, storage } = index;
    const { values, ids } = store.survivors();
    const truth = new BruteForceIndex({ D, metric, storage });
    // As a file: an index takes these vectors as they are, without another copy in wider numbers.
    truth.restore({ description: {}, tensors: store.tensors({ values, ids }) });
    const sample = queries === undefined ? sampled(store, values, ids) : undefined;
    const rows = queries ?? (sample?.rows as Rows);
    // A vector of the index finds itself first: one more is asked for.
    const itself = Number(sample !== undefined);
    const options: QueryOptions = { k: k + itself };
    const exact = await truth.query(rows, options);
    truth.dispose();
    return async (effort) => {
      const { maxCandidates } = effort;
      const capped = maxCandidates && { maxCandidates: maxCandidates + itself };
      const found = await index.query(rows, { ...options, ...effort, ...capped });
      const result = { effort, ...judged(found, exact, sample?.ids) };
      this.measured = [...this.measured, result];
      return result;
    };
  }
}

/** Doubles a number from `least` on until its effort is enough for a target, then halves the gap until it is just enough. */
async function leastEnough(
  target: number,
  least: number,
  most: number,
  measure: (number: number) => Promise<TuneResult>,
): Promise<TuneResult> {
  let high = Math.min(least, most);
  let low = high - 1;
  let best = await measure(high);
  while (!reaches(best, target) && high < most) {
    low = high;
    high = Math.min(most, 2 * high);
    best = await measure(high);
  }
  while (high - low > 1 && reaches(best, target + CLOSE)) {
    const middle = (low + high) >> 1;
    const result = await measure(middle);
    if (reaches(result, target)) {
      best = result;
      high = middle;
    } else {
      low = middle;
    }
  }
  return best;
}

/** Standard errors that a recall must lie above its target: other queries may be harder, or easier, than those that were measured with. */
const MARGIN = 1;

function reaches({ recall, error }: TuneResult, target: number): boolean {
  return recall - MARGIN * error >= target;
}

function checkRecall(targetRecall: number, door: SearchDoor): void {
  if (!(typeof targetRecall === 'number' && targetRecall > 0 && targetRecall <= 1)) {
    throw door.range(`\`targetRecall\` must be a number above 0, at most 1, got ${show(targetRecall)}.`);
  }
}

/** Vectors drawn from the index: those at regular distances may be alike. */
function sampled(
  store: RowStore,
  values: StoredValues,
  ids: Int32Array,
): { readonly rows: Rows; readonly ids: Int32Array } {
  const { D } = store;
  const n = Math.min(SAMPLE, ids.length);
  const chosen = new Set<number>();
  for (let i = 0; chosen.size < n; i++) {
    chosen.add(Math.floor((pcg(i) / 2 ** 32) * ids.length));
  }
  const places = Int32Array.from(chosen);
  const rows = values.slice(0, n * D);
  places.forEach((place, i) => {
    rows.set(values.subarray(place * D, (place + 1) * D), i * D);
  });
  return { rows: store.numbers(rows), ids: places.map((place) => ids[place] as number) };
}

function judged(found: QueryResult, exact: QueryResult, own?: ArrayLike<number>) {
  const hits = hitsOf(found, exact, own);
  const recall = shareFound(hits);
  const n = hits.length;
  const squares = hits.reduce((sum, { hit, wanted }) => sum + (hit - recall * wanted) ** 2, 0);
  const mean = hits.reduce((sum, { wanted }) => sum + wanted, 0) / n;
  return {
    recall,
    error: n < 2 || mean === 0 ? 0 : Math.sqrt(squares / (n - 1) / n) / mean,
    candidates: found.candidates.reduce((sum, count) => sum + count, 0) / Math.max(1, n),
  };
}

/** Exact neighbours of a query, and how many of them were found. */
interface Hits {
  readonly wanted: number;
  readonly hit: number;
}

/**
 * The share of the exact neighbours that were found, over all queries: recall.
 *
 * @param own the id of each query among the vectors, where it is one of them and does not count.
 * @throws RangeError or TypeError for what are no neighbours of the same queries.
 */
export function recallOf(
  found: Pick<QueryResult, 'ids' | 'k'>,
  exact: Pick<QueryResult, 'ids' | 'k'>,
  own?: ArrayLike<number>,
): number {
  const door = new SearchDoor('recallOf');
  if (door.neighbours('found', found) !== door.neighbours('exact', exact)) {
    throw door.range('`found` and `exact` must be of the same queries, got different numbers of them.');
  }
  return shareFound(hitsOf(found, exact, own));
}

function hitsOf(
  found: Pick<QueryResult, 'ids' | 'k'>,
  exact: Pick<QueryResult, 'ids' | 'k'>,
  own?: ArrayLike<number>,
): Hits[] {
  return Array.from({ length: exact.ids.length / exact.k }, (_, i) => {
    const counts = (id: number) => id >= 0 && id !== own?.[i];
    const truth = exact.ids.subarray(i * exact.k, (i + 1) * exact.k).filter(counts);
    const seen = new Set(found.ids.subarray(i * found.k, (i + 1) * found.k));
    return { wanted: truth.length, hit: truth.filter((id) => seen.has(id)).length };
  });
}

function shareFound(hits: readonly Hits[]): number {
  const wanted = hits.reduce((sum, one) => sum + one.wanted, 0);
  return wanted === 0 ? 1 : hits.reduce((sum, { hit }) => sum + hit, 0) / wanted;
}
