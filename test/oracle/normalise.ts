import { at, exactly, type Numbers, type Rounding } from './shape.js';

/** `1 / sqrt(|q|² + D·1e-6)` of each row of `qk [tokens, D]`. */
export function inverseNorms(qk: Numbers, D: number, round: Rounding = exactly): Float64Array {
  return Float64Array.from({ length: qk.length / D }, (_, token) => {
    let square = round(D * 1e-6);
    for (let d = 0; d < D; d++) {
      const q = at(qk, token * D + d);
      square = round(square + round(q * q));
    }
    return round(1 / round(Math.sqrt(square)));
  });
}
