import { inverseNorms } from './normalise.js';
import { at, exactly, type Letters, type Numbers, type Rounding } from './shape.js';
import { attendTo, logit, NOTHING } from './softmax.js';

export interface DenseOptions {
  readonly causal?: boolean;
  readonly scale?: number;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Numbers;
}

/** Shared-QK attention over all keys; a query that may see none returns its own v. */
export function dense(
  qk: Numbers,
  v: Numbers,
  { B, H, L, D, E }: Letters,
  { causal = false, scale = 1, mask }: DenseOptions = {},
  round: Rounding = exactly,
): { out: Float64Array; lse: Float64Array } {
  const norms = inverseNorms(qk, D, round);
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  for (let row = 0; row < B * H; row++) {
    const isReal = (token: number) => mask === undefined || at(mask, Math.floor(row / H) * L + token) !== 0;
    for (let i = 0; i < L; i++) {
      const keys: number[] = [];
      for (let j = 0; j < L; j++) {
        if (j !== i && isReal(i) && isReal(j) && !(causal && j > i)) {
          keys.push(row * L + j);
        }
      }
      const query = row * L + i;
      const own = Array.from({ length: E }, (_, e) => at(v, query * E + e));
      const seen =
        keys.length === 0
          ? { out: own, lse: NOTHING }
          : attendTo(
              keys.map((j) => logit(qk, norms, query, j, D, scale, round)),
              keys,
              v,
              E,
              round,
            );
      out.set(seen.out, query * E);
      lse[query] = seen.lse;
    }
  }
  return { out, lse };
}
