import { inverseNorms } from './normalise.js';
import { at, exactly, type Letters, type Rounding } from './shape.js';
import { type Attended, attendTo, logit, NOTHING } from './softmax.js';
import { type AttendInputs, type AttendOptions, termsOfRow } from './terms.js';

export type { AttendInputs, AttendOptions } from './terms.js';

/**
 * The whole operation as the contract words it: in each round a softmax with logits lowered by
 * log N_ij, then the rounds weighted by their log-sum-exps. With `round` = {@link toFloat32} it is
 * the naive float32 formula.
 */
export function attend(
  inputs: AttendInputs,
  letters: Letters,
  options: AttendOptions,
  round: Rounding = exactly,
): { out: Float64Array; lse: Float64Array } {
  const { qk, v } = inputs;
  const { B, H, L, D, E } = letters;
  const norms = inverseNorms(qk, D, round);
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  for (let row = 0; row < B * H; row++) {
    for (const [i, rounds] of termsOfRow(inputs, row, letters, options).entries()) {
      const query = row * L + i;
      // A round in which the query sees only itself must not weigh.
      const parts = rounds
        .filter((terms) => terms.length > 0)
        .map((terms) => {
          const keys = terms.map(({ j }) => row * L + j);
          const logits = terms.map(({ count }, n) => {
            const s = logit(qk, norms, query, at(keys, n), D, options.scale ?? 1, round);
            return round(s - round(Math.log(count)));
          });
          const kept = terms.map((term) => round(term.kept));
          return attendTo(logits, keys, v, E, round, kept);
        });
      const combined = combine(parts, E, round) ?? {
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
function combine(rounds: readonly Attended[], E: number, round: Rounding): Attended | undefined {
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
