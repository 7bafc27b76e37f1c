import { at } from './shape.js';
import { sortByKey } from './sort.js';

export interface WindowOptions {
  readonly R: number;
  readonly N: number;
  readonly C: number;
  readonly P?: number;
  readonly A?: number;
  readonly causal?: boolean;
  readonly window?: 'chunk' | 'bucket';
  readonly wrap?: boolean;
  readonly acrossBuckets?: boolean;
  /** Padding, though seen by none, sees the tokens of its window: not our rule, but Hugging Face's. */
  readonly paddingSees?: boolean;
}

/** A key of a window, and whether it is of the query's bucket in the query's round. */
interface Seen {
  readonly j: number;
  readonly sameBucket: boolean;
}

/**
 * For each round and each query of a row: the keys it sees, as often as it sees them. `buckets
 * [R, L]` has N for padding; `keys` is what to sort by, where that is not the buckets.
 */
export function admitted(
  buckets: readonly number[],
  L: number,
  options: WindowOptions,
  keys = buckets,
): number[][][] {
  const { R, N, causal = false, acrossBuckets = true, window = 'chunk', paddingSees = false } = options;
  const windows = window === 'chunk' ? chunksSeen(buckets, keys, L, options) : bucketsSeen(buckets, L, R);
  return Array.from({ length: R }, (_, r) =>
    Array.from({ length: L }, (_, i) => {
      const sees = paddingSees || at(buckets, r * L + i) !== N;
      const seen = sees ? ((windows[r] as Seen[][])[i] as Seen[]) : [];
      return seen
        .filter(({ j }) => at(buckets, r * L + j) !== N && j !== i && !(causal && j > i))
        .filter(({ sameBucket }) => acrossBuckets || sameBucket)
        .map(({ j }) => j);
    }),
  );
}

/** For each round and each query: the tokens of its bucket, however many. */
function bucketsSeen(buckets: readonly number[], L: number, R: number): Seen[][][] {
  return Array.from({ length: R }, (_, r) => {
    const ofRound = buckets.slice(r * L, (r + 1) * L);
    return ofRound.map((own) =>
      Array.from(ofRound.keys())
        .filter((j) => ofRound[j] === own)
        .map((j) => ({ j, sameBucket: true })),
    );
  });
}

/** For each round and each query: the tokens of its chunk, P before and A after. */
function chunksSeen(
  buckets: readonly number[],
  keys: readonly number[],
  L: number,
  { R, N, C, P = 1, A = 0, wrap = false }: WindowOptions,
): Seen[][][] {
  const chunksOfRound = Math.ceil(L / C);
  const orders = Array.from({ length: R }, (_, r) => sortByKey(keys.slice(r * L, (r + 1) * L), N));
  return Array.from({ length: R }, (_, r) => {
    const order = orders[r] as number[];
    const ofQueries: Seen[][] = Array.from({ length: L }, () => []);
    for (const [slot, i] of order.entries()) {
      for (let offset = -P; offset <= A; offset++) {
        let round = r;
        let chunk = Math.floor(slot / C) + offset;
        if (wrap) {
          const all = R * chunksOfRound;
          const rolled = (((r * chunksOfRound + chunk) % all) + all) % all;
          round = Math.floor(rolled / chunksOfRound);
          chunk = rolled % chunksOfRound;
        }
        if (chunk < 0 || chunk >= chunksOfRound) {
          continue;
        }
        for (const j of (orders[round] as number[]).slice(chunk * C, (chunk + 1) * C)) {
          const sameBucket = round === r && at(buckets, round * L + j) === at(buckets, r * L + i);
          (ofQueries[i] as Seen[]).push({ j, sameBucket });
        }
      }
    }
    return ofQueries;
  });
}
