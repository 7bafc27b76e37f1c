/**
 * Counter-based random numbers: the value at a counter depends on (key, counter) alone, so any part
 * of a stream can be drawn without the rest, and the same seed gives the same bits everywhere.
 */

/** Philox 4x32, 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). */
const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;

export type Words4 = readonly [number, number, number, number];

/** Four unsigned 32-bit words at `counter` of the stream `key`. */
export function philox(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIERS[0], c0);
    const high1 = multiplyHigh(MULTIPLIERS[1], c2);
    const low0 = Math.imul(MULTIPLIERS[0], c0);
    const low1 = Math.imul(MULTIPLIERS[1], c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL[0]) | 0;
    k1 = (k1 + WEYL[1]) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit integers, by 16-bit halves. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + (((aLow * bLow) >>> 16) >>> 0);
  const middle = aLow * bHigh + (cross % 0x10000);
  return (aHigh * bHigh + Math.floor(cross / 0x10000) + Math.floor(middle / 0x10000)) | 0;
}

/**
 * One unsigned 32-bit word from another: PCG-RXS-M-XS, a bijection (O'Neill 2014; recommended for GPUs by
 * Jarzynski and Olano, "Hash functions for GPU rendering", 2020). Much cheaper than {@link philox}.
 */
export function pcg(x: number): number {
  const state = (Math.imul(x, 747796405) + 2891336453) | 0;
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737);
  return ((word >>> 22) ^ word) >>> 0;
}

/**
 * A standard normal number from one 32-bit word, by inversion of the distribution function (Wichura,
 * algorithm AS 241, 1988). Only +, ×, ÷ and sqrt, which IEEE 754 defines to the last bit, and a
 * logarithm made of them: Math.log and Math.cos may differ between engines.
 */
export function normalFromWord(word: number): number {
  const p = (word + 0.5) / 2 ** 32;
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    return q * ratio(CENTRE, 0.180625 - q * q);
  }
  const r = Math.sqrt(-logarithm(q < 0 ? p : 1 - p));
  return Math.sign(q) * ratio(TAIL, r - 1.6);
}

interface Rational {
  readonly numerator: readonly number[];
  readonly denominator: readonly number[];
}

// AS 241's PPND16, |q| ≤ 0.425, and its tail for r ≤ 5: a 32-bit word never leads farther out.
const CENTRE: Rational = {
  numerator: [
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
    67265.7709270087, 33430.57558358813, 2509.0809287301227,
  ],
  denominator: [
    1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852854,
  ],
};
const TAIL: Rational = {
  numerator: [
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
  ],
  denominator: [
    1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9,
  ],
};

function ratio({ numerator, denominator }: Rational, x: number): number {
  return horner(numerator, x) / horner(denominator, x);
}

function horner(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}

/** ln(p) for 0 < p ≤ 1: halvings counted off, the rest by the series of atanh. */
function logarithm(p: number): number {
  let mantissa = p;
  let halvings = 0;
  while (mantissa < 0.75) {
    mantissa *= 2;
    halvings++;
  }
  const z = (mantissa - 1) / (mantissa + 1); // |z| ≤ 0.2
  let series = 0;
  for (let power = 23; power >= 1; power -= 2) {
    series = series * z * z + 1 / power;
  }
  return 2 * z * series - halvings * Math.LN2;
}

/** The seed of one of many uses of a seed: a step of training, a layer. */
export function derivedSeed(seed: number, use: number): number {
  return pcg((pcg(seed) + use) | 0);
}
