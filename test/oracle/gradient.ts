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
  const unit = Float64Array.from(qk, (x, i) => round(x * at(norms, Math.floor(i / D))));
  const dQuery = new Float64Array(B * H * L * D);
  const dKey = new Float64Array(B * H * L * D);
  const dv = new Float64Array(B * H * L * E);
  for (let row = 0; row < B * H; row++) {
    for (const [i, rounds] of termsOfRow(inputs, row, letters, options).entries()) {
      const query = row * L + i;
      if (lse[query] === NOTHING) {
        // It returned its own v.
        addMultiple(dv, query * E, 1, dOut, query * E, E, round);
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
        addMultiple(dv, key * E, keptWeight, dOut, query * E, E, round);
        const dWeight = round(round(kept) * dot(dOut, query * E, v, key * E, E, round));
        const dDot = round(scale * round(weight * round(dWeight - delta)));
        addMultiple(dQuery, query * D, dDot, unit, key * D, D, round);
        addMultiple(dKey, key * D, dDot, qk, query * D, D, round);
      }
    }
  }
  return { dqk: throughKey(unit, norms, dQuery, dKey, D, round), dv };
}

/** dQK = dQ + (dK − k·(k·dK)) / n, where k = q / n. */
function throughKey(
  keys: Float64Array,
  norms: Numbers,
  dQuery: Float64Array,
  dKey: Float64Array,
  D: number,
  round: Rounding,
): Float64Array {
  const dqk = new Float64Array(dQuery.length);
  for (let token = 0; token < norms.length; token++) {
    const along = dot(keys, token * D, dKey, token * D, D, round);
    for (let n = token * D; n < (token + 1) * D; n++) {
      const across = round(at(dKey, n) - round(at(keys, n) * along));
      dqk[n] = round(at(dQuery, n) + round(across * at(norms, token)));
    }
  }
  return dqk;
}

// The two loops that take the time index without at().

function dot(a: Numbers, atA: number, b: Numbers, atB: number, length: number, round: Rounding): number {
  let sum = 0;
  for (let n = 0; n < length; n++) {
    sum = round(sum + round((a[atA + n] as number) * (b[atB + n] as number)));
  }
  return sum;
}

/** to += factor · from, `length` elements of each. */
function addMultiple(
  to: Float64Array,
  atTo: number,
  factor: number,
  from: Numbers,
  atFrom: number,
  length: number,
  round: Rounding,
): void {
  for (let n = 0; n < length; n++) {
    to[atTo + n] = round((to[atTo + n] as number) + round(factor * (from[atFrom + n] as number)));
  }
}
