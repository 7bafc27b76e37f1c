import { keptFactor } from './dropout.js';
import { at, type Letters, type Numbers } from './shape.js';
import { admitted, type WindowOptions } from './windows.js';

export interface AttendOptions extends WindowOptions {
  readonly duplicates?: 'correct' | 'count';
  readonly scale?: number;
  readonly dropout?: number;
  readonly seed?: number;
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

/** One term of a query's softmax in a round. */
export interface Term {
  readonly j: number;
  /** N_ij: the logit is lowered by its logarithm. */
  readonly count: number;
  /** The dropout mask: 0, or 1/(1 − dropout); 1 without dropout. */
  readonly kept: number;
}

/** For each query of row b·h and each round: the terms of its softmax. */
export function termsOfRow(
  { buckets, keys = buckets }: AttendInputs,
  row: number,
  { H, L }: Letters,
  options: AttendOptions,
): Term[][][] {
  const { R, duplicates = 'correct', dropout = 0, seed = 0 } = options;
  const ofRow = (values: Numbers) => Array.from({ length: R * L }, (_, i) => at(values, row * R * L + i));
  const windows = admitted(ofRow(buckets), L, options, ofRow(keys));
  const [b, h] = [Math.floor(row / H), row % H];
  return Array.from({ length: L }, (_, i) => {
    let rounds = windows.map((round) => round[i] as number[]);
    if (duplicates === 'correct' && dropout > 0) {
      // A corrected pair is one weight, so it has one mask: that of the first round that sees it.
      // Its N_ij terms of 1/N_ij each would be dropped one by one, if each had its own.
      rounds = rounds.map((keys, r) => keys.filter((j) => !rounds.slice(0, r).some((o) => o.includes(j))));
    }
    const sets = rounds.map((keys) => new Set(keys));
    return rounds.map((keys, r) =>
      keys.map((j) => ({
        j,
        count: duplicates === 'correct' ? sets.filter((other) => other.has(j)).length : 1,
        kept: dropout > 0 ? keptFactor(dropout, seed, { b, h, r, i, j }) : 1,
      })),
    );
  });
}
