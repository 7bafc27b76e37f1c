/**
 * Who sees whom in a round: the sort and the windows of the composed path, in plain arrays. tfjs has no
 * sort, and a dozen ops over all pairs to say who sees whom take longer than to attend.
 */
import type { Settings, Shape } from '../settings.js';

/** A round's permutation and what later rounds ask of it; all `[rows, L]`, tokens counted through all rows. */
export interface SortedRound {
  /** Token at each slot. */
  readonly order: Int32Array;
  /** Slot of each token, counted through all rows of n·C slots. */
  readonly slotOf: Int32Array;
  /** Chunk of each token. */
  readonly chunkOf: Int32Array;
  /** Bucket of each token, N for padding wherever it is sorted. */
  readonly bucketOf: Int32Array;
}

/** Sorts a round of `buckets [rows, R, L]`: 0 … N, or −1−b for padding among the tokens of bucket b. */
export function sortRound(
  buckets: Int32Array,
  r: number,
  { B, H, L }: Shape,
  { R, C, N }: Settings,
): SortedRound {
  const [order, slotOf, chunkOf, bucketOf] = Array.from({ length: 4 }, () => new Int32Array(B * H * L));
  const sorted = { order, slotOf, chunkOf, bucketOf } as SortedRound;
  const first = new Int32Array(N + 2);
  const slots = Math.ceil(L / C) * C;
  for (let row = 0; row < B * H; row++) {
    const ids = buckets.subarray((row * R + r) * L, (row * R + r + 1) * L);
    const sortedAs = ids.map((id) => Math.min(Math.max(id, -1 - id), N));
    first.fill(0);
    for (const key of sortedAs) {
      first[key + 1] = (first[key + 1] as number) + 1;
    }
    for (let key = 0; key < N; key++) {
      first[key + 1] = (first[key + 1] as number) + (first[key] as number);
    }
    for (let token = 0; token < L; token++) {
      const key = sortedAs[token] as number;
      const id = ids[token] as number;
      const slot = first[key] as number;
      first[key] = slot + 1;
      sorted.order[row * L + slot] = row * L + token;
      sorted.slotOf[row * L + token] = row * slots + slot;
      sorted.chunkOf[row * L + token] = Math.floor(slot / C);
      sorted.bucketOf[row * L + token] = id >= 0 && id < N ? id : N;
    }
  }
  return sorted;
}

/** A round's queries and keys by chunk: n chunks of C queries, each with W = (1+P+A)·C keys. */
export interface Pairs {
  /** Tokens, counted through all rows, `[rows, n, C]` and `[rows, n, W]`; -1 where there is none. */
  readonly queries: Int32Array;
  readonly keys: Int32Array;
  /** 1 for pairs that do not count, `[rows, n, C, W]`. */
  readonly hidden: Uint8Array;
}

/** The pairs of round `r`. Tokens that see something are marked in `seeing [rows, L]`. */
export function pairsOf(
  r: number,
  sorted: readonly SortedRound[],
  { B, H, L }: Shape,
  settings: Settings,
  seeing: Float32Array,
): Pairs {
  const { C, P, A, N } = settings;
  const n = Math.ceil(L / C);
  const W = (1 + P + A) * C;
  const { order, bucketOf } = sorted[r] as SortedRound;
  const queries = new Int32Array(B * H * n * C).fill(-1);
  const keys = new Int32Array(B * H * n * W).fill(-1);
  const hidden = new Uint8Array(B * H * n * C * W);
  const earlier = (settings.correct ? sorted.slice(0, r) : []).map((round) => new SeenBefore(round, n, W));
  for (let block = 0; block < B * H * n; block++) {
    const row = Math.floor(block / n) * L;
    const chunk = block % n;
    const window = keys.subarray(block * W, (block + 1) * W);
    const { buckets, unreal } = fillWindow(window, chunk, r, row, sorted, L, settings);
    for (const seen of earlier) {
      seen.enter(window);
    }
    for (let slot = chunk * C; slot < Math.min(L, (chunk + 1) * C); slot++) {
      const query = order[row + slot] as number;
      const place = block * C + (slot % C);
      const at = place * W;
      queries[place] = query;
      if (bucketOf[query] === N) {
        hidden.fill(1, at, at + W);
        continue;
      }
      hidden.set(unreal, at);
      hidden[at + P * C + (slot % C)] = 1; // itself
      hide(hidden, at, query, bucketOf[query] as number, window, buckets, settings);
      for (const seen of earlier) {
        seen.hide(hidden, at, query, settings);
      }
      seeing[query] ||= Number(hidden.subarray(at, at + W).includes(0));
    }
  }
  return { queries, keys, hidden };
}

/** Fills in the keys of a chunk's window; where they are none, or padding, they are of bucket N and unreal. */
function fillWindow(
  window: Int32Array,
  chunk: number,
  r: number,
  row: number,
  sorted: readonly SortedRound[],
  L: number,
  { R, C, P, N, wrap }: Settings,
): { readonly buckets: Int32Array; readonly unreal: Uint8Array } {
  const buckets = new Int32Array(window.length).fill(N);
  const unreal = new Uint8Array(window.length).fill(1);
  for (let w = 0; w < window.length; w++) {
    const slot = (chunk - P) * C + w;
    if (wrap || (slot >= 0 && slot < L)) {
      const ring = (((r * L + slot) % (R * L)) + R * L) % (R * L);
      const round = Math.floor(ring / L);
      const { order, bucketOf } = sorted[round] as SortedRound;
      const key = order[row + (ring % L)] as number;
      const bucket = bucketOf[key] as number;
      window[w] = key;
      // Buckets of two rounds are never the same.
      buckets[w] = round === r || bucket === N ? bucket : -1;
      unreal[w] = Number(bucket === N);
    }
  }
  return { buckets, unreal };
}

/** Hides the real keys that a query may not see in a round, from `at` on, but for itself in its own chunk. */
function hide(
  hidden: Uint8Array,
  at: number,
  query: number,
  bucket: number,
  keys: Int32Array,
  buckets: Int32Array,
  { causal, acrossBuckets, wrap }: Settings,
): void {
  for (let w = 0; (causal || wrap) && w < keys.length; w++) {
    const key = keys[w] as number;
    if (causal ? key >= query : key === query) {
      hidden[at + w] = 1;
    }
  }
  for (let w = 0; !acrossBuckets && w < keys.length; w++) {
    if (buckets[w] !== bucket) {
      hidden[at + w] = 1;
    }
  }
}

/**
 * Each key once: what a query has seen in an earlier round. The keys of a window are listed by their chunks
 * in that round, so that a query goes through those of its own window there, not through all.
 */
class SeenBefore {
  /** The first key of a chunk in the list, and the one after each; -1 at its end. */
  private readonly first: Int32Array;
  private readonly next: Int32Array;
  private window: Int32Array = new Int32Array();

  constructor(
    private readonly round: SortedRound,
    private readonly n: number,
    W: number,
  ) {
    this.first = new Int32Array(n).fill(-1);
    this.next = new Int32Array(W);
  }

  /** Makes the lists of a window. */
  enter(window: Int32Array): void {
    const { chunkOf } = this.round;
    this.first.fill(-1);
    for (let w = 0; w < window.length; w++) {
      const key = window[w] as number;
      if (key >= 0) {
        const chunk = chunkOf[key] as number;
        this.next[w] = this.first[chunk] as number;
        this.first[chunk] = w;
      }
    }
    this.window = window;
  }

  /** Hides what a query has seen. */
  hide(hidden: Uint8Array, at: number, query: number, { P, A, acrossBuckets }: Settings): void {
    const { n, first, next, window } = this;
    const { chunkOf, bucketOf } = this.round;
    const chunk = chunkOf[query] as number;
    for (let c = Math.max(0, chunk - P); c <= Math.min(n - 1, chunk + A); c++) {
      for (let w = first[c] as number; w >= 0; w = next[w] as number) {
        if (acrossBuckets || bucketOf[window[w] as number] === bucketOf[query]) {
          hidden[at + w] = 1;
        }
      }
    }
  }
}
