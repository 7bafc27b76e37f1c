/** Schemes of k hash functions on 32-bit words, and the minima of their hashes. */
import { philox } from '../random.js';
import { drawPermutations, permuted } from './datasketch.js';
import { sha1Word } from './sha1.js';
import { murmurWord, type WordOfBytes } from './tokens.js';

export const SCHEMES = ['fmix32', 'datasketch', 'csharp-fnv'] as const;

/**
 * - `'fmix32'`: MurmurHash3's finaliser of token xor seed. Strings and bytes by MurmurHash3.
 * - `'datasketch'`: those of the Python package datasketch, to the bit: SHA-1, then a·x + b modulo 2^61 − 1. Use
 *   it for signatures that are stored or compared elsewhere.
 * - `'csharp-fnv'`: an old C# recipe that chains FNV over two seeds and the token, which comes to token xor a
 *   constant. **Do not choose it for new data**: a function that keeps nearby integers together is no random order,
 *   and estimates on overlapping ranges are off by up to 0.5. It is here to read what was made by it; its minima are
 *   those of C#, a signed integer, plus 2^31.
 */
export type MinHashScheme = (typeof SCHEMES)[number];

/** k hash functions. */
export interface HashFunctions {
  readonly scheme: MinHashScheme;
  readonly k: number;
  /** Four words a function, `[k, 4]`. */
  readonly constants: Uint32Array;
  readonly wordOfBytes: WordOfBytes;
}

/** Names the random stream of the functions: other uses of a seed draw other numbers. */
const STREAM = 0x6d696e;
/** Words that all functions go over while they are in the nearest cache. */
const BLOCK = 4096;

/** The functions of a seed. The first of k are those of a smaller k. */
export function drawFunctions(scheme: MinHashScheme, k: number, seed: number): HashFunctions {
  const [constants, wordOfBytes] =
    scheme === 'datasketch'
      ? [drawPermutations(k, seed), sha1Word]
      : [drawConstants(k, seed, scheme === 'fmix32' ? (word) => word : csharpConstant), murmurWord];
  return { scheme, k, constants, wordOfBytes };
}

function drawConstants(
  k: number,
  seed: number,
  constant: (first: number, second: number) => number,
): Uint32Array {
  const constants = new Uint32Array(4 * k);
  for (let i = 0; i < k; i++) {
    const [first, second] = philox([i, 0, 0, 0], [seed, STREAM]);
    constants[4 * i] = constant(first, second);
  }
  return constants;
}

/** FNV over two seeds, with the sign bit turned over: the order of signed minima is then that of unsigned ones. */
export function csharpConstant(first: number, second: number): number {
  const chained = [first, second].reduce((hash, seed) => Math.imul(hash, 0x01000193) ^ seed, 0x811c9dc5);
  return (Math.imul(chained, 0x01000193) ^ 0x80000000) >>> 0;
}

/** Lowers `minima [k]` to the least hashes of the first `count` words, where they are lower. */
export function lowerMinima(
  minima: Uint32Array,
  words: Uint32Array,
  count: number,
  { scheme, constants }: HashFunctions,
): void {
  for (let first = 0; first < count; first += BLOCK) {
    LOWER[scheme](minima, words.subarray(first, Math.min(count, first + BLOCK)), constants);
  }
}

type Lower = (minima: Uint32Array, words: Uint32Array, constants: Uint32Array) => void;

/** Functions go over all words with their constants and minima in registers. */
const LOWER: Readonly<Record<MinHashScheme, Lower>> = {
  // Two functions at a time, since each operation waits for the one before, and in line, since a call in this loop costs
  // half of its speed. The last of an odd number goes twice.
  fmix32: (minima, words, constants) => {
    for (let i = 0; i < minima.length; i += 2) {
      const next = Math.min(i + 1, minima.length - 1);
      const seedA = constants[4 * i] as number;
      const seedB = constants[4 * next] as number;
      let leastA = minima[i] as number;
      let leastB = minima[next] as number;
      for (let j = 0; j < words.length; j++) {
        const word = words[j] as number;
        let a = word ^ seedA;
        let b = word ^ seedB;
        a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
        b = Math.imul(b ^ (b >>> 16), 0x85ebca6b);
        a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
        b = Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
        leastA = Math.min(leastA, (a ^ (a >>> 16)) >>> 0);
        leastB = Math.min(leastB, (b ^ (b >>> 16)) >>> 0);
      }
      minima[i] = leastA;
      minima[next] = leastB;
    }
  },
  datasketch: oneByOne((words, [aHigh, aLow, bHigh, bLow], bound) => {
    let least = bound;
    for (let j = 0; j < words.length; j++) {
      least = Math.min(least, permuted(words[j] as number, aHigh, aLow, bHigh, bLow));
    }
    return least;
  }),
  'csharp-fnv': oneByOne((words, [constant], bound) => {
    let least = bound;
    for (let j = 0; j < words.length; j++) {
      least = Math.min(least, ((words[j] as number) ^ constant) >>> 0);
    }
    return least;
  }),
};

/** The least hash of words under a function of these constants, or the bound where that is lower. */
type Least = (
  words: Uint32Array,
  constants: readonly [number, number, number, number],
  bound: number,
) => number;

/** A function after the other. */
function oneByOne(least: Least): Lower {
  return (minima, words, constants) => {
    for (let i = 0; i < minima.length; i++) {
      const own = constants.subarray(4 * i, 4 * i + 4) as unknown as Parameters<Least>[1];
      minima[i] = least(words, own, minima[i] as number);
    }
  };
}
