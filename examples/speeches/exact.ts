/** Exact attention in plain JavaScript for a few queries: what the GPU's answers are held against. */
import { D, E, type Memory } from './memory.js';

/** What attention returns at the positions of the questions. */
export interface Answers {
  /** `[questions, E]` */
  readonly out: Float32Array;
  /** `[questions]`: logarithm of the sum of the weights before they are divided by it. */
  readonly lse: Float32Array;
}

/** Below this a weight does not change a float32 sum. */
const NEGLIGIBLE = 1e-12;

/** Causal attention at `positions`; a position sees all before it, and not itself. */
export function exactAnswers({ qk, v }: Memory, positions: Int32Array): Answers {
  const out = new Float32Array(positions.length * E);
  const lse = new Float32Array(positions.length);
  const keys = keysOf(qk);
  const logits = new Float64Array(qk.length / D);
  positions.forEach((i, question) => {
    const query = qk.subarray(i * D, (i + 1) * D);
    let most = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < i; j++) {
      const logit = dot(query, keys, j * D);
      logits[j] = logit;
      if (logit > most) {
        most = logit;
      }
    }
    const sums = new Float64Array(E);
    let total = 0;
    for (let j = 0; j < i; j++) {
      const weight = Math.exp((logits[j] as number) - most);
      if (weight > NEGLIGIBLE) {
        total += weight;
        for (let e = 0; e < E; e++) {
          sums[e] = (sums[e] as number) + weight * (v[j * E + e] as number);
        }
      }
    }
    const mean = sums.map((sum) => sum / total);
    out.set(mean, question * E);
    lse[question] = most + Math.log(total);
  });
  return { out, lse };
}

/** k = q / sqrt(|q|² + D·1e-6), as the package makes its keys. */
function keysOf(qk: Float32Array): Float32Array {
  const keys = new Float32Array(qk.length);
  for (let start = 0; start < qk.length; start += D) {
    const norm = Math.sqrt(dot(qk.subarray(start, start + D), qk, start) + D * 1e-6);
    for (let d = start; d < start + D; d++) {
      keys[d] = (qk[d] as number) / norm;
    }
  }
  return keys;
}

/** Four sums, so that the processor need not wait for one addition before the next. */
function dot(query: Float32Array, keys: Float32Array, start: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let n = 0; n < D; n += 4) {
    a += (query[n] as number) * (keys[start + n] as number);
    b += (query[n + 1] as number) * (keys[start + n + 1] as number);
    c += (query[n + 2] as number) * (keys[start + n + 2] as number);
    d += (query[n + 3] as number) * (keys[start + n + 3] as number);
  }
  return a + b + (c + d);
}
