import { describe, expect, test } from 'vitest';
import { normalFromWord, philox, type Words4 } from '../../src/hashing/random.js';
import { gaussianRotations } from '../../src/hashing/rotations.js';
import { uniform } from '../inputs.js';

describe('philox', () => {
  // Known answers of Random123 (kat_vectors, philox4x32, 10 rounds).
  test.each<{ counter: Words4; key: [number, number]; words: Words4 }>([
    {
      counter: [0, 0, 0, 0],
      key: [0, 0],
      words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])('of counter $counter', ({ counter, key, words }) => {
    expect(philox(counter, key)).toEqual(words);
  });
});

/** The distribution function of N(0, 1): a Taylor series near 0, a continued fraction beyond. */
function normalBelow(x: number): number {
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 100; n++) {
      term *= (x * x) / (2 * n + 1);
      sum += term;
    }
    return 0.5 + density * sum;
  }
  let fraction = 0;
  for (let n = 200; n >= 1; n--) {
    fraction = n / (Math.abs(x) + fraction);
  }
  const tail = density / (Math.abs(x) + fraction);
  return x < 0 ? tail : 1 - tail;
}

describe('normalFromWord', () => {
  test('inverts the distribution function', () => {
    const next = uniform(1);
    const words = Array.from({ length: 2000 }, () => Math.floor(next() * 2 ** 32));
    for (const word of [...words, 0, 1, 2, 1000, 2 ** 31 - 1, 2 ** 31, 0x13333333, 0xeccccccc]) {
      const p = (word + 0.5) / 2 ** 32;
      const x = normalFromWord(word);
      // By the smaller tail, where the relative error shows.
      const tail = Math.min(p, 1 - p);
      expect(Math.abs(normalBelow(-Math.abs(x)) - tail) / tail, `word ${word}`).toBeLessThan(1e-12);
      expect(Math.sign(x)).toBe(p < 0.5 ? -1 : 1);
    }
  });

  test('is odd about the middle, and rises', () => {
    let before = Number.NEGATIVE_INFINITY;
    for (let word = 0; word < 2 ** 32; word += 2 ** 22 - 1) {
      const x = normalFromWord(word);
      expect(normalFromWord(0xffffffff - word)).toBeCloseTo(-x, 12);
      expect(x).toBeGreaterThan(before);
      before = x;
    }
  });
});

describe('gaussianRotations', () => {
  const shape = { H: 2, D: 16, R: 4, F: 9 };

  test('has the moments of N(0, 1)', () => {
    const values = gaussianRotations({ H: 4, D: 64, R: 4, F: 32 }, 7);
    const n = values.length;
    const moment = (power: number) => values.reduce((sum, x) => sum + x ** power, 0) / n;
    // Five standard errors of each moment.
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  });

  test('neighbours in every axis are independent', () => {
    const [H, D, R, F] = [4, 32, 4, 16];
    const values = gaussianRotations({ H, D, R, F }, 1);
    for (const stride of [1, F, R * F, D * R * F]) {
      let sum = 0;
      let count = 0;
      for (let i = 0; i + stride < values.length; i++) {
        sum += (values[i] as number) * (values[i + stride] as number);
        count++;
      }
      expect(Math.abs(sum / count), `stride ${stride}`).toBeLessThan(5 / Math.sqrt(count));
    }
  });

  test('an entry depends on its own place alone', () => {
    const large = gaussianRotations({ H: 3, D: 20, R: 6, F: 9 }, 5);
    const small = gaussianRotations(shape, 5);
    for (let h = 0; h < 2; h++) {
      for (let d = 0; d < 16; d++) {
        for (let r = 0; r < 4; r++) {
          for (let column = 0; column < 9; column++) {
            expect(small[((h * 16 + d) * 4 + r) * 9 + column]).toBe(
              large[((h * 20 + d) * 6 + r) * 9 + column],
            );
          }
        }
      }
    }
  });

  test('the same seed gives the same numbers, another seed others', () => {
    const first = gaussianRotations(shape, 5).slice();
    for (let seed = 100; seed < 120; seed++) {
      expect(gaussianRotations(shape, seed)).not.toEqual(first); // and push the first out of the cache
    }
    expect(gaussianRotations(shape, 5)).toEqual(first);
    expect(gaussianRotations(shape, 2 ** 32 - 1)).not.toEqual(first);
  });

  test('no number comes twice', () => {
    const values = gaussianRotations({ H: 2, D: 16, R: 4, F: 8 }, 3);
    expect(new Set(values).size).toBe(values.length);
  });
});
