import { attend } from './attend.js';
import { inverseNorms } from './normalise.js';
import { at, exactly, type Letters, type Numbers, type Rounding } from './shape.js';
import { logit, NOTHING } from './softmax.js';
import { type AttendInputs, type AttendOptions, termsOfRow } from './terms.js';

export interface OutputGradients {
  /** `[B, H, L, E]` */
  readonly dOut: Numbers;
  /** `[B, H, L]`, 0 where it is not given. */
  readonly dLse?: Numbers;
}

export interface InputGradients {
  /** `[B, H, L, D]` */
  readonly dqk: Float64Array;
  /** `[B, H, L, E]` */
  readonly dv: Float64Array;
}

/**
 * The gradient of {@link attend} by the contract's rule, term by term: a weight comes back from its
 * logit and the log-sum-exp over all rounds. The buckets are held fixed.
 */
export function gradient(
  inputs: AttendInputs,
  { dOut, dLse }: OutputGradients,
  letters: Letters,
  options: AttendOptions,
  round: Rounding = exactly,
): InputGradients {
  const { qk, v } = inputs;
  const { B, H, L, D, E } = letters;
  const scale = round(options.scale ?? 1);
  const { out, lse } = attend(inputs, letters, options, round);
  const norms = inverseNorms(qk, D, round);
  const dQuery = new Float64Array(B * H * L * D);
  const dKey = new Float64Array(B * H * L * D);
  const dv = new Float64Array(B * H * L * E);
  const add = (to: Float64Array, i: number, x: number) => {
    to[i] = round(at(to, i) + round(x));
  };
  for (let row = 0; row < B * H; row++) {
    for (const [i, rounds] of termsOfRow(inputs, row, letters, options).entries()) {
      const query = row * L + i;
      if (lse[query] === NOTHING) {
        // It returned its own v.
        for (let e = 0; e < E; e++) {
          add(dv, query * E + e, at(dOut, query * E + e));
        }
        continue;
      }
      const delta = round(
        dot(dOut, query * E, out, query * E, E, round) - (dLse === undefined ? 0 : at(dLse, query)),
      );
      for (const { j, count, kept } of rounds.flat()) {
        const key = row * L + j;
        const s = logit(qk, norms, query, key, D, options.scale ?? 1, round);
        const weight = round(Math.exp(round(round(s - round(Math.log(count))) - at(lse, query))));
        const keptWeight = round(weight * round(kept));
        for (let e = 0; e < E; e++) {
          add(dv, key * E + e, keptWeight * at(dOut, query * E + e));
        }
        const dWeight = round(round(kept) * dot(dOut, query * E, v, key * E, E, round));
        const dDot = round(scale * round(weight * round(dWeight - delta)));
        for (let d = 0; d < D; d++) {
          add(dQuery, query * D + d, dDot * round(at(qk, key * D + d) * at(norms, key)));
          add(dKey, key * D + d, dDot * at(qk, query * D + d));
        }
      }
    }
  }
  return { dqk: throughKey(qk, norms, dQuery, dKey, D, round), dv };
}

/** dQK = dQ + (dK − k·(k·dK)) / n, where k = q / n. */
function throughKey(
  qk: Numbers,
  norms: Numbers,
  dQuery: Float64Array,
  dKey: Float64Array,
  D: number,
  round: Rounding,
): Float64Array {
  const dqk = new Float64Array(dQuery.length);
  for (let token = 0; token < norms.length; token++) {
    const norm = at(norms, token);
    const key = Array.from({ length: D }, (_, d) => round(at(qk, token * D + d) * norm));
    const along = dot(key, 0, dKey, token * D, D, round);
    for (let d = 0; d < D; d++) {
      const across = round(at(dKey, token * D + d) - round(at(key, d) * along));
      dqk[token * D + d] = round(at(dQuery, token * D + d) + round(across * norm));
    }
  }
  return dqk;
}

function dot(a: Numbers, atA: number, b: Numbers, atB: number, length: number, round: Rounding): number {
  let sum = 0;
  for (let n = 0; n < length; n++) {
    sum = round(sum + round(at(a, atA + n) * at(b, atB + n)));
  }
  return sum;
}
