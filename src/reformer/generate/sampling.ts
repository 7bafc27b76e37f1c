/** What the next token is, of a row of logits. */
import { philox } from '../../hashing/random.js';

/** Names the random stream of tokens: other uses of a seed draw other numbers. */
const STREAM = 0x746f6b65;

/** How a distribution is narrowed before a token is drawn from it. */
export interface Sampling {
  /** What logits are divided by; 0 takes the likeliest token. */
  readonly temperature: number;
  /** The likeliest tokens that are left, so many. */
  readonly topK?: number;
  /** The likeliest tokens are left, as few as have this probability together (Holtzman et al. 2019, arXiv 1904.09751). */
  readonly topP?: number;
}

/** The logarithms of a softmax. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const lse = most + Math.log(values.reduce((sum, x) => sum + Math.exp(x - most), 0));
  return values.map((x) => x - lse);
}

/** The token of the largest logit, the first of equals. */
export function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) {
    if ((logits[token] as number) > (logits[best] as number)) {
      best = token;
    }
  }
  return best;
}

/** The tokens of the `count` largest values, the largest first, the first of equals first. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  const order = Array.from(values, (_, token) => token);
  return order.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b).slice(0, count);
}

/** The probability of each token to be drawn, at a temperature above 0: first `topK` is applied, then `topP`. */
export function probabilities(
  logits: ArrayLike<number>,
  { temperature, topK = logits.length, topP = 1 }: Sampling,
): Float64Array {
  const all = logSoftmax(Array.from(logits, (x) => x / temperature)).map(Math.exp);
  const left = new Float64Array(all.length);
  const ranked = topK < all.length || topP < 1 ? largest(all, topK) : [...all.keys()];
  const total = ranked.reduce((sum, token) => sum + (all[token] as number), 0);
  let before = 0;
  for (const token of ranked) {
    if (before >= topP) {
      break;
    }
    left[token] = all[token] as number;
    before += (all[token] as number) / total;
  }
  const sum = left.reduce((a, b) => a + b, 0);
  return left.map((p) => p / sum);
}

/** A token drawn by its probability, from a number in [0, 1). */
export function draw(probability: Float64Array, number: number): number {
  let rest = number;
  let last = 0;
  for (const [token, p] of probability.entries()) {
    if (p > 0) {
      last = token;
      rest -= p;
      if (rest < 0) {
        break;
      }
    }
  }
  // Where rounding left a little, the last that is possible.
  return last;
}

/** A number in [0, 1) for one token of one text, of 53 bits. */
export function randomNumber(seed: number, text: number, token: number): number {
  const [high, low] = philox([token, text, 0, 0], [seed, STREAM]);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}
