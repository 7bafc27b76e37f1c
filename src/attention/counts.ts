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
 * The work of one dispatch of `kernel` for `rows` rows b·h. A kernel's variants, `…_subgroup` among them,
 * do the same work; `rounds` is how many rounds the dispatch takes.
 */
export function countsOf(
  kernel: string,
  shape: Shape & { readonly Lk?: number },
  settings: Counted,
  rows: number,
  rounds: number,
): Counts {
  const { L, D, E, Lk = L } = shape;
  const { R = 1, N = 1, F = 0, rotationHeads = 1 } = settings;
  const tokens = rows * L;
  const words = (perToken: number, others = 0) => WORD * (tokens * perToken + others);
  const stage = kernel.replace(/_(subgroup|tile|plain)\w*$/, '');
  const dense = stage.startsWith('dense/');
  const pairs = rows * rounds * (dense ? densePairs(L, Lk, settings) : L * keysSeen(L, settings));
  // Tokens of another length are of keys alone.
  const keys = dense ? rows * (Lk - L) * (D + E) : 0;
  // The order of the tokens and where their windows are, a round; a round after the first reads its state again.
  const found = dense ? 0 : 2 * rounds;
  switch (stage) {
    case 'hash/rotate':
      return {
        operations: 2 * tokens * R * D * F,
        bytes: words(D + R, Math.min(rows, rotationHeads) * D * R * F),
      };
    case 'hash/hadamard':
      return {
        operations: tokens * R * hadamardAdditions({ D, F }),
        bytes: words(D + R, signCount({ H: Math.min(rows, shape.H), D, R, F })),
      };
    case 'sort/count':
      return { operations: 0, bytes: words(R, rows * R * (N + 1)) };
    case 'sort/scan':
      return { operations: 0, bytes: words(0, 2 * rows * R * (N + 1)) };
    case 'sort/place':
      return { operations: 0, bytes: words(2 * R, rows * R * (N + 1)) };
    case 'sort/arrange':
      return { operations: 0, bytes: words(2 * R) };
    case 'attend/halve': // of qk, and of v
      return { operations: 0, bytes: words(0.75 * (D + E)) };
    case 'attend/normalise':
      return { operations: 2 * tokens * D, bytes: words(D + 1) };
    case 'attend/forward':
    case 'dense/forward':
      return { operations: 2 * pairs * (D + E), bytes: words(D + E + found + E + 1, keys) };
    case 'attend/delta':
    case 'dense/delta':
      return { operations: 2 * tokens * E, bytes: words(2 * E + 7) };
    // Logits and weights' slopes, then what the side owns.
    case 'attend/backward_query':
    case 'dense/backward_query':
      return { operations: 2 * pairs * (2 * D + E), bytes: words(2 * D + 2 * E + 4 + found, keys) };
    case 'attend/backward_key':
    case 'dense/backward_key':
      return { operations: 2 * pairs * (2 * D + 2 * E), bytes: words(2 * D + 3 * E + 4 + found, keys) };
    case 'attend/backward':
    case 'dense/backward':
      return { operations: 2 * pairs * (3 * D + 2 * E), bytes: words(2 * D + 3 * E + 4 + found, keys) };
    default:
      return { operations: 0, bytes: 0 };
  }
}

/** Keys of a window; buckets are taken to be even. */
function keysSeen(L: number, { C = L, P = 0, A = 0, N = 1, bucketWindow }: Counted): number {
  return bucketWindow ? L / N : Math.min(L, (1 + P + A) * C);
}

/** Pairs of dense attention, which skips what causality excludes: the last query sees all keys. */
function densePairs(L: number, Lk: number, { causal }: Counted): number {
  return causal ? (Lk >= L ? L * (Lk - L / 2) : Lk ** 2 / 2) : L * Lk;
}
