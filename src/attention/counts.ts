/** The work that a kernel cannot do without: operations and bytes, by which its time is judged. Pure. */
import { hadamardAdditions, signCount } from '../hashing/hadamard.js';
import type { Shape } from './settings.js';

/** Work of one dispatch. */
export interface Counts {
  /** Useful floating-point operations, a multiply-add being two; what masks exclude within a window counts too. */
  readonly operations: number;
  /** Every byte that is needed, read or written once. */
  readonly bytes: number;
}

/** What counts depend on; dense attention has no rounds. */
export interface Counted {
  readonly R?: number;
  readonly C?: number;
  readonly P?: number;
  readonly A?: number;
  readonly N?: number;
  readonly F?: number;
  readonly rotationHeads?: number;
  readonly bucketWindow?: boolean;
  readonly causal?: boolean;
}

const WORD = 4;

/**
 * The work of one dispatch of `kernel` for `rows` rows b·h. A kernel's variant for subgroups does the same work;
 * `rounds` is how many rounds the dispatch takes.
 */
export function countsOf(
  kernel: string,
  shape: Shape & { readonly Lk?: number },
  settings: Counted,
  rows: number,
  rounds: number,
): Counts {
  const [operations, words] = work(kernel, shape, settings, rows, rounds);
  return { operations, bytes: WORD * words };
}

function work(
  kernel: string,
  shape: Shape & { readonly Lk?: number },
  settings: Counted,
  rows: number,
  rounds: number,
): readonly [operations: number, words: number] {
  const { L, D, E, Lk = L } = shape;
  const { R = 1, N = 1, F = 0, rotationHeads = 1 } = settings;
  const tokens = rows * L;
  const buckets = rows * R * (N + 1);
  const dense = kernel.startsWith('dense/');
  const pairs = rows * rounds * (dense ? densePairs(L, Lk, settings) : L * keysSeen(L, settings));
  // The order of the tokens and where their windows are, a round; a round after the first reads its state again.
  const found = dense ? 0 : 2 * rounds;
  // Tokens of another length are of keys alone.
  const attended = (width: number) => tokens * (width + found) + (dense ? rows * (Lk - L) * (D + E) : 0);
  switch (kernel.replace(/^(attend|dense)\/|_subgroup$/g, '')) {
    case 'hash/rotate':
      return [2 * tokens * R * D * F, tokens * (D + R) + Math.min(rows, rotationHeads) * D * R * F];
    case 'hash/hadamard':
      return [
        tokens * R * hadamardAdditions({ D, F }),
        tokens * (D + R) + signCount({ H: Math.min(rows, shape.H), D, R, F }),
      ];
    case 'sort/count':
      return [0, tokens * R + buckets];
    case 'sort/scan':
      return [0, 2 * buckets];
    case 'sort/place':
      return [0, tokens * 2 * R + buckets];
    case 'sort/arrange':
      return [0, tokens * 2 * R];
    case 'halve': // of qk, and of v
      return [0, tokens * 0.75 * (D + E)];
    case 'normalise':
      return [2 * tokens * D, tokens * (D + 1)];
    case 'forward':
      return [2 * pairs * (D + E), attended(D + 2 * E + 1)];
    case 'delta':
      return [2 * tokens * E, tokens * (2 * E + 7)];
    // Logits and weights' slopes, then what the side owns.
    case 'backward_query':
      return [2 * pairs * (2 * D + E), attended(2 * D + 2 * E + 4)];
    case 'backward_key':
      return [2 * pairs * (2 * D + 2 * E), attended(2 * D + 3 * E + 4)];
    case 'backward':
      return [2 * pairs * (3 * D + 2 * E), attended(2 * D + 3 * E + 4)];
    default:
      return [0, 0];
  }
}

/** Keys of a window; buckets are taken to be even. */
export function keysSeen(L: number, { C = L, P = 0, A = 0, N = 1, bucketWindow }: Counted): number {
  return bucketWindow ? L / N : Math.min(L, (1 + P + A) * C);
}

/** Pairs of dense attention, which skips what causality excludes: the last query sees all keys. */
function densePairs(L: number, Lk: number, { causal }: Counted): number {
  return causal ? (Lk >= L ? L * (Lk - L / 2) : Lk ** 2 / 2) : L * Lk;
}
