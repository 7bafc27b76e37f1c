import { inverseNorms } from './normalise.js';
import { at, exactly, type Letters, type Numbers, type Rounding } from './shape.js';
import { attendTo, logit, NOTHING } from './softmax.js';
import { sortByKey } from './sort.js';

export interface AttendOptions {
  readonly R: number;
  readonly N: number;
  readonly C: number;
  readonly P?: number;
  readonly A?: number;
  readonly causal?: boolean;
  readonly duplicates?: 'correct' | 'count';
  readonly wrap?: boolean;
  readonly acrossBuckets?: boolean;
  readonly scale?: number;
}

export interface AttendInputs {
  /** `[B, H, L, D]` */
  readonly qk: Numbers;
  /** `[B, H, L, E]` */
  readonly v: Numbers;
  /** `[B, H, R, L]`, N for padding. */
  readonly buckets: Numbers;
  /** `[B, H, R, L]`: what to sort by, where that is not the buckets. */
  readonly keys?: Numbers;
}

/** A key of a window, and whether it is of the query's bucket in the query's round. */
interface Seen {
  readonly j: number;
  readonly sameBucket: boolean;
}

/**
 * The whole operation as the contract words it: in each round a softmax with logits lowered by
 * log N_ij, then the rounds weighted by their log-sum-exps. With `round` = {@link toFloat32} it is
 * the naive float32 formula.
 */
export function attend(
  { qk, v, buckets, keys = buckets }: AttendInputs,
  { B, H, L, D, E }: Letters,
  options: AttendOptions,
  round: Rounding = exactly,
): { out: Float64Array; lse: Float64Array } {
  const { R, duplicates = 'correct', scale = 1 } = options;
  const norms = inverseNorms(qk, D, round);
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  for (let row = 0; row < B * H; row++) {
    const ofRow = (values: Numbers) => Array.from({ length: R * L }, (_, i) => at(values, row * R * L + i));
    const windows = admitted(ofRow(buckets), L, options, ofRow(keys));
    for (let i = 0; i < L; i++) {
      const query = row * L + i;
      const ofRounds = windows.map((round) => round[i] as number[]);
      const rounds: { out: number[]; lse: number }[] = [];
      for (const window of ofRounds) {
        if (window.length === 0) {
          continue; // in this round the query sees only itself, which must not weigh
        }
        const logits = window.map((j) => {
          const s = logit(qk, norms, query, row * L + j, D, scale, round);
          const N_ij = ofRounds.filter((other) => other.includes(j)).length;
          return duplicates === 'correct' ? round(s - round(Math.log(N_ij))) : s;
        });
        rounds.push(
          attendTo(
            logits,
            window.map((j) => row * L + j),
            v,
            E,
            round,
          ),
        );
      }
      const combined = combine(rounds, E, round) ?? {
        out: Array.from({ length: E }, (_, e) => at(v, query * E + e)),
        lse: NOTHING,
      };
      out.set(combined.out, query * E);
      lse[query] = combined.lse;
    }
  }
  return { out, lse };
}

/** out = Σ_r o_r · exp(lse_r − logsumexp_r lse_r); nothing where no round saw anything. */
function combine(rounds: readonly { out: number[]; lse: number }[], E: number, round: Rounding) {
  if (rounds.length === 0) {
    return undefined;
  }
  const most = Math.max(...rounds.map(({ lse }) => lse));
  const total = rounds.reduce((sum, { lse }) => round(sum + round(Math.exp(round(lse - most)))), 0);
  const lse = round(most + round(Math.log(total)));
  const out = new Array<number>(E).fill(0);
  for (const part of rounds) {
    const weight = round(round(Math.exp(round(part.lse - most))) / total);
    for (let e = 0; e < E; e++) {
      out[e] = round(at(out, e) + round(weight * at(part.out, e)));
    }
  }
  return { out, lse };
}

/** For each round and each query of a row: the keys it sees, as often as it sees them. */
export function admitted(
  buckets: readonly number[],
  L: number,
  options: AttendOptions,
  keys = buckets,
): number[][][] {
  const { R, N, causal = false, acrossBuckets = true } = options;
  const windows = seen(buckets, keys, L, options);
  return Array.from({ length: R }, (_, r) =>
    Array.from({ length: L }, (_, i) => {
      const isPadding = at(buckets, r * L + i) === N;
      const window = isPadding ? [] : ((windows[r] as Seen[][])[i] as Seen[]);
      return window
        .filter(({ j, sameBucket }) => j !== i && !(causal && j > i) && (acrossBuckets || sameBucket))
        .map(({ j }) => j);
    }),
  );
}

/** For each round and each query: the tokens of its window but for padding. */
function seen(
  buckets: readonly number[],
  keys: readonly number[],
  L: number,
  { R, N, C, P = 1, A = 0, wrap = false }: AttendOptions,
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
          const bucket = at(buckets, round * L + j);
          if (bucket !== N) {
            const sameBucket = round === r && bucket === at(buckets, r * L + i);
            (ofQueries[i] as Seen[]).push({ j, sameBucket });
          }
        }
      }
    }
    return ofQueries;
  });
}
