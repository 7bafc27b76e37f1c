import { at, exactly, type Letters, type Numbers, type Rounding } from './shape.js';

export interface LocalOptions {
  readonly C: number;
  readonly P?: number;
  readonly A?: number;
  readonly causal?: boolean;
  readonly scale: number;
  /** The first chunk and the last are neighbours; a pair seen from both sides counts twice. */
  readonly wrap?: boolean;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Numbers;
  /** What dropout multiplies the weight of a pair by. */
  readonly kept?: (b: number, h: number, i: number, j: number) => number;
}

/** Attention of each token to the tokens of its own and its neighbouring chunks, itself included. */
export function local(
  q: Numbers,
  k: Numbers,
  v: Numbers,
  { B, H, L, D, E }: Letters,
  { C, P = 1, A = 0, causal = false, scale, wrap = false, mask, kept = () => 1 }: LocalOptions,
  round: Rounding = exactly,
): Float64Array {
  const out = new Float64Array(B * H * L * E);
  for (let row = 0; row < B * H; row++) {
    const b = Math.floor(row / H);
    const isReal = (token: number) => mask === undefined || at(mask, b * L + token) !== 0;
    for (let i = 0; i < L; i++) {
      const chunk = Math.floor(i / C);
      const chunks = Math.ceil(L / C);
      const seen = Array.from({ length: 1 + P + A }, (_, n) => chunk - P + n)
        .map((c) => (wrap && chunks > 1 ? (c + chunks) % chunks : c))
        .flatMap((c) => Array.from({ length: L }, (_, j) => j).filter((j) => Math.floor(j / C) === c))
        .filter((j) => isReal(i) && isReal(j) && !(causal && j > i));
      const logits = seen.map((j) => {
        let dot = 0;
        for (let d = 0; d < D; d++) {
          dot = round(dot + round(at(q, (row * L + i) * D + d) * at(k, (row * L + j) * D + d)));
        }
        return round(round(scale) * dot);
      });
      const most = Math.max(...logits);
      const weights = logits.map((s) => round(Math.exp(round(s - most))));
      const total = weights.reduce((sum, w) => round(sum + w), 0);
      for (let e = 0; e < E; e++) {
        let sum = seen.length === 0 ? at(v, (row * L + i) * E + e) : 0;
        for (const [n, j] of seen.entries()) {
          const weight = round(round(at(weights, n) / total) * round(kept(b, row % H, i, j)));
          sum = round(sum + round(weight * at(v, (row * L + j) * E + e)));
        }
        out[(row * L + i) * E + e] = sum;
      }
    }
  }
  return out;
}
