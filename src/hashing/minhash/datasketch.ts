/** The hash functions of the Python package datasketch: permutations drawn as NumPy's `RandomState` draws them. */
import { multiplyHigh } from '../random.js';

/** 2^61 − 1, a Mersenne prime: hashes are (a·x + b mod 2^64) mod this, of which 32 bits are kept. */
const PRIME = 2n ** 61n - 1n;

/** For each of k functions the words of a and b, upper ones first: `[k, 4]`. */
export function drawPermutations(k: number, seed: number): Uint32Array {
  const next = mersenneTwister(seed);
  const constants = new Uint32Array(4 * k);
  for (let i = 0; i < k; i++) {
    constants.set([...wordsBelow(PRIME, 1n, next), ...wordsBelow(PRIME, 0n, next)], 4 * i);
  }
  return constants;
}

/** Words of a number from `least` to below `end`: 64 bits masked to 61, and drawn again while they are too large. */
function wordsBelow(end: bigint, least: bigint, next: () => number): [number, number] {
  for (;;) {
    const drawn = ((BigInt(next()) << 32n) | BigInt(next())) & PRIME;
    if (drawn < end - least) {
      const value = drawn + least;
      return [Number(value >> 32n), Number(value & 0xffffffffn)];
    }
  }
}

const LENGTH = 624;
const SHIFT = 397;

/** Unsigned 32-bit words of MT19937 (Matsumoto and Nishimura 1998) from a 32-bit seed. */
function mersenneTwister(seed: number): () => number {
  const state = new Uint32Array(LENGTH);
  state[0] = seed;
  const at = (i: number) => state[i % LENGTH] as number;
  for (let i = 1; i < LENGTH; i++) {
    state[i] = Math.imul(1812433253, at(i - 1) ^ (at(i - 1) >>> 30)) + i;
  }
  let used = LENGTH;
  return () => {
    if (used === LENGTH) {
      used = 0;
      for (let i = 0; i < LENGTH; i++) {
        const y = (at(i) & 0x80000000) | (at(i + 1) & 0x7fffffff);
        state[i] = at(i + SHIFT) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
    }
    let y = at(used++);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** One hash of a word, by 32-bit limbs: kernels/hash/minhash.wgsl does the same. */
export function permuted(word: number, aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  const low = (Math.imul(aLow, word) + bLow) | 0;
  const carry = low >>> 0 < bLow >>> 0 ? 1 : 0;
  const high = (multiplyHigh(aLow, word) + Math.imul(aHigh, word) + bHigh + carry) | 0;
  // 2^61 is 1 modulo the prime: what stands above bit 61 is added below.
  const sum = (low + (high >>> 29)) | 0;
  const rest = (high & 0x1fffffff) + (sum >>> 0 < low >>> 0 ? 1 : 0);
  const tooLarge = rest > 0x1fffffff || (rest === 0x1fffffff && sum === -1);
  return (tooLarge ? sum + 1 : sum) >>> 0;
}
