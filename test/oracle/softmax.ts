import { at, type Numbers, type Rounding } from './shape.js';

/** The log-sum-exp of a query that has seen nothing. */
export const NOTHING = -1e38;

export interface Attended {
  readonly out: number[];
  readonly lse: number;
}

/** scale · (q_i · k_j), rows i and j of `qk` and their inverse norms. */
export function logit(
  qk: Numbers,
  norms: Numbers,
  i: number,
  j: number,
  D: number,
  scale: number,
  round: Rounding,
): number {
  let dot = 0;
  const norm = at(norms, j);
  for (let d = 0; d < D; d++) {
    const key = round((qk[j * D + d] as number) * norm);
    dot = round(dot + round((qk[i * D + d] as number) * key));
  }
  return round(round(scale) * dot);
}

/**
 * Softmax of `logits` over rows `keys` of `v [tokens, E]`; there must be at least one. Its weights
 * are multiplied by `kept`, the dropout mask, after they were normalised.
 */
export function attendTo(
  logits: readonly number[],
  keys: readonly number[],
  v: Numbers,
  E: number,
  round: Rounding,
  kept: readonly number[] = logits.map(() => 1),
): Attended {
  const most = Math.max(...logits);
  const weights = logits.map((s) => round(Math.exp(round(s - most))));
  const total = weights.reduce((sum, w) => round(sum + w), 0);
  const out = new Array<number>(E).fill(0);
  for (const [n, j] of keys.entries()) {
    const weight = round(round(at(weights, n) / total) * at(kept, n));
    for (let e = 0; e < E; e++) {
      out[e] = round((out[e] as number) + round(weight * (v[j * E + e] as number)));
    }
  }
  return { out, lse: round(most + round(Math.log(total))) };
}
