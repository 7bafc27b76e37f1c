/** Rows of attention in float64, by their formulas: what is timed is compared with them first. */
import type { Params } from './findings.js';

/** Tensors of all heads; row i of head h begins at `at(h, i)`. */
export interface Tensors {
  readonly q: Float32Array;
  /** Of separate keys; without them keys are the queries at unit length, and nobody sees itself. */
  readonly k?: Float32Array;
  readonly v: Float32Array;
  readonly at: (head: number, token: number) => number;
  readonly scale: number;
}

/** A head and a token of a batch of one. */
export type Place = readonly [head: number, token: number];

/** Places to look at: first and last tokens, and some between. */
export function sample({ H, L }: Params): Place[] {
  const tokens = [0, 1, Math.floor(L / 3), Math.floor(L / 2), Math.floor((7 * L) / 8), L - 1];
  return tokens.map((token, n) => [(3 * n) % H, Math.min(token, L - 1)]);
}

/** The largest difference from the exact rows, over the largest of their values. */
export function errorOf(
  out: Float32Array,
  exact: (place: Place) => Float64Array,
  tensors: Tensors,
  params: Params,
): number {
  let [difference, size] = [0, 0];
  for (const place of sample(params)) {
    const start = tensors.at(...place);
    for (const [e, value] of exact(place).entries()) {
      const error = Math.abs((out[start + e] as number) - value);
      difference = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(difference, error);
      size = Math.max(size, Math.abs(value));
    }
  }
  return difference / size;
}

/** Dense attention at a place. */
export function denseRow(tensors: Tensors, { L, D, causal }: Params, place: Place): Float64Array {
  const last = causal ? place[1] : L - 1;
  return attended(
    tensors,
    D,
    place,
    Array.from({ length: last + 1 }, (_, j) => j),
  );
}

/** LSH attention at a place, each key once, from the buckets `[H, R, L]`: its own chunk and the one before. */
export function lshRow(
  tensors: Tensors,
  { L, D, R, C, causal }: Params,
  buckets: Int32Array,
  place: Place,
): Float64Array {
  const [h, i] = place;
  const seen = new Set<number>();
  for (let r = 0; r < R; r++) {
    const ofRound = buckets.subarray((h * R + r) * L, (h * R + r + 1) * L);
    const order = Uint32Array.from({ length: L }, (_, j) => j).sort(
      (a, b) => (ofRound[a] as number) - (ofRound[b] as number) || a - b,
    );
    const chunk = Math.floor(order.indexOf(i) / C);
    for (const j of order.subarray(Math.max(0, chunk - 1) * C, (chunk + 1) * C)) {
      if (!causal || j <= i) {
        seen.add(j);
      }
    }
  }
  return attended(tensors, D, place, [...seen]);
}

/** LSH attention at a place, whose window is its bucket, each key once. */
export function bucketRow(
  tensors: Tensors,
  { L, D, R, causal }: Params,
  buckets: Int32Array,
  place: Place,
): Float64Array {
  const [h, i] = place;
  const rounds = Array.from({ length: R }, (_, r) => buckets.subarray((h * R + r) * L, (h * R + r + 1) * L));
  const keys = Array.from({ length: L }, (_, j) => j).filter(
    (j) => (!causal || j <= i) && rounds.some((ids) => ids[i] === ids[j]),
  );
  return attended(tensors, D, place, keys);
}

function attended(
  { q, k, v, at, scale }: Tensors,
  D: number,
  [h, i]: Place,
  keys: readonly number[],
): Float64Array {
  const others = k === undefined ? keys.filter((j) => j !== i) : keys;
  if (others.length === 0) {
    return Float64Array.from(v.subarray(at(h, i), at(h, i) + D));
  }
  const logits = others.map((j) => {
    const source = k ?? q;
    let [product, square] = [0, 0];
    for (let d = 0; d < D; d++) {
      const key = source[at(h, j) + d] as number;
      product += (q[at(h, i) + d] as number) * key;
      square += key * key;
    }
    return scale * (k === undefined ? product / Math.sqrt(square + D * 1e-6) : product);
  });
  const most = logits.reduce((a, b) => Math.max(a, b));
  const weights = logits.map((logit) => Math.exp(logit - most));
  const total = weights.reduce((a, b) => a + b);
  const row = new Float64Array(D);
  for (const [n, j] of others.entries()) {
    const weight = (weights[n] as number) / total;
    for (let e = 0; e < D; e++) {
      row[e] = (row[e] as number) + weight * (v[at(h, j) + e] as number);
    }
  }
  return row;
}
