import { keptFactor } from './dropout.js';
import { at, exactly, type Letters, type Numbers, type Rounding } from './shape.js';
import { attendTo, NOTHING } from './softmax.js';

export interface AcrossLetters extends Letters {
  /** Keys; L is the queries. */
  readonly Lk: number;
}

export interface DotProductOptions {
  readonly causal?: boolean;
  readonly scale?: number;
  /** Whether query i of row b·h may see key j. */
  readonly mask?: (row: number, i: number, j: number) => boolean;
  readonly dropout?: number;
  readonly seed?: number;
}

/** softmax(scale · q·kᵀ)·v; a query that sees nothing gives zeros. */
export function dotProduct(
  q: Numbers,
  k: Numbers,
  v: Numbers,
  { B, H, L, Lk, D, E }: AcrossLetters,
  { causal = false, scale = 1 / Math.sqrt(D), mask, dropout = 0, seed = 0 }: DotProductOptions = {},
  round: Rounding = exactly,
): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L).fill(NOTHING);
  for (let row = 0; row < B * H; row++) {
    for (let i = 0; i < L; i++) {
      const keys = Array.from({ length: Lk }, (_, j) => j).filter(
        (j) => !(causal && j > i + Lk - L) && (mask === undefined || mask(row, i, j)),
      );
      if (keys.length === 0) {
        continue;
      }
      const logits = keys.map((j) => {
        let dot = 0;
        for (let d = 0; d < D; d++) {
          dot = round(dot + round(at(q, (row * L + i) * D + d) * at(k, (row * Lk + j) * D + d)));
        }
        return round(round(scale) * dot);
      });
      const kept = keys.map((j) =>
        dropout === 0 ? 1 : keptFactor(dropout, seed, { b: Math.floor(row / H), h: row % H, r: 0, i, j }),
      );
      const places = keys.map((j) => row * Lk + j);
      const seen = attendTo(logits, places, v, E, round, kept);
      out.set(seen.out, (row * L + i) * E);
      lse[row * L + i] = seen.lse;
    }
  }
  return { out, lse };
}

/** The gradient of Σ out·dOut + Σ lse·dLse by q, k and v, in float64. */
export function dotProductGradient(
  [q, k, v]: readonly [Numbers, Numbers, Numbers],
  shape: AcrossLetters,
  options: DotProductOptions,
  dOut: Numbers,
  dLse: Numbers,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { B, H, L, Lk, D, E } = shape;
  const { causal = false, scale = 1 / Math.sqrt(D), mask, dropout = 0, seed = 0 } = options;
  const { out, lse } = dotProduct(q, k, v, shape, options);
  const gradients = {
    dq: new Float64Array(q.length),
    dk: new Float64Array(k.length),
    dv: new Float64Array(v.length),
  };
  const add = (into: Float64Array, place: number, value: number) => {
    into[place] = (into[place] as number) + value;
  };
  for (let row = 0; row < B * H; row++) {
    for (let i = 0; i < L; i++) {
      const query = row * L + i;
      let delta = -at(dLse, query);
      for (let e = 0; e < E; e++) {
        delta += at(dOut, query * E + e) * at(out, query * E + e);
      }
      for (let j = 0; j < Lk; j++) {
        if ((causal && j > i + Lk - L) || (mask !== undefined && !mask(row, i, j))) {
          continue;
        }
        const key = row * Lk + j;
        let dot = 0;
        for (let d = 0; d < D; d++) {
          dot += at(q, query * D + d) * at(k, key * D + d);
        }
        const weight = Math.exp(scale * dot - at(lse, query));
        const place = { b: Math.floor(row / H), h: row % H, r: 0, i, j };
        const kept = dropout === 0 ? 1 : keptFactor(dropout, seed, place);
        let product = 0;
        for (let e = 0; e < E; e++) {
          product += at(dOut, query * E + e) * at(v, key * E + e);
          add(gradients.dv, key * E + e, weight * kept * at(dOut, query * E + e));
        }
        const slope = scale * weight * (kept * product - delta);
        for (let d = 0; d < D; d++) {
          add(gradients.dq, query * D + d, slope * at(k, key * D + d));
          add(gradients.dk, key * D + d, slope * at(q, query * D + d));
        }
      }
    }
  }
  return gradients;
}
