/** How good answers are: against the truth, and against exact attention. */
import { NOTHING_SEEN } from 'tfjs-lsh-attention';
import type { Answers } from './exact.js';
import { E, valueOfWord } from './memory.js';

export interface Score {
  /** Share of questions whose next word was predicted. */
  readonly right: number;
  /** Mean distance of the output from exact attention's; a value has length 1. */
  readonly error: number;
  /** Mean share of exact attention's weight that lies on words that were seen. */
  readonly seen: number;
}

/** The word whose value is nearest to each answer; undefined where attention saw nothing. */
export function predictions({ out, lse }: Answers, candidates: readonly number[]): (number | undefined)[] {
  const values = candidates.map(valueOfWord);
  return Array.from(lse, (sum, question) => {
    if (sum <= NOTHING_SEEN) {
      return undefined; // the output is the position's own value: the truth itself
    }
    let best: number | undefined;
    let most = Number.NEGATIVE_INFINITY;
    const answer = out.subarray(question * E, (question + 1) * E);
    values.forEach((value, candidate) => {
      let likeness = 0;
      for (let e = 0; e < E; e++) {
        likeness += (answer[e] as number) * (value[e] as number);
      }
      if (likeness > most) {
        most = likeness;
        best = candidates[candidate];
      }
    });
    return best;
  });
}

export function score(
  answers: Answers,
  exact: Answers,
  predicted: readonly (number | undefined)[],
  truth: readonly number[],
): Score {
  const questions = truth.length;
  let right = 0;
  let error = 0;
  let seen = 0;
  for (let question = 0; question < questions; question++) {
    right += Number(predicted[question] === truth[question]);
    let square = 0;
    for (let e = question * E; e < (question + 1) * E; e++) {
      square += ((answers.out[e] as number) - (exact.out[e] as number)) ** 2;
    }
    error += Math.sqrt(square);
    // Both sums are over the same logits, one over fewer of them: their ratio is the share.
    seen += Math.exp((answers.lse[question] as number) - (exact.lse[question] as number));
  }
  return { right: right / questions, error: error / questions, seen: seen / questions };
}
