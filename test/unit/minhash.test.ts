import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { csharpConstant, drawFunctions, lowerMinima } from '../../src/hashing/minhash/schemes.js';
import { sha1Word } from '../../src/hashing/minhash/sha1.js';
import { murmurOfWords, murmurWord } from '../../src/hashing/minhash/tokens.js';
import { candidateProbability, chooseBanding } from '../../src/search/banding.js';
import { jaccard, MinHash, type MinHashScheme, type Token } from '../../src/search/index.js';
import { integers, uniform } from '../inputs.js';
import { minima } from '../oracle/minhash.js';

const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/data/search/${name}.json`, import.meta.url), 'utf8'));
const datasketch = golden('datasketch_golden');
const csharp = golden('csharp_golden');
const SCHEMES: readonly MinHashScheme[] = ['fmix32', 'datasketch', 'csharp-fnv'];
const utf8 = (text: string) => new TextEncoder().encode(text);
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** `count` distinct integers below `most`. */
function randomSet(count: number, most: number, seed: number): Set<number> {
  const next = uniform(seed);
  const set = new Set<number>();
  while (set.size < count) {
    set.add(Math.floor(next() * most));
  }
  return set;
}

describe('the hashes of bytes', () => {
  test('SHA-1 of words, as datasketch takes it', () => {
    for (const [word, hash] of Object.entries(datasketch.sha1_hash32)) {
      expect(sha1Word(utf8(word)), word).toBe(hash);
    }
    // FIPS 180's test vectors; one of two blocks.
    expect(sha1Word(utf8('abc'))).toBe(0x363e99a9);
    expect(sha1Word(utf8('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'))).toBe(0x443e9884);
    expect(sha1Word(utf8(''))).toBe(0xeea339da);
  });

  test('MurmurHash3, at every length of a last block', () => {
    expect(murmurWord(utf8(''))).toBe(0);
    expect(murmurWord(utf8('hello'))).toBe(0x248bfa47);
    expect(murmurWord(utf8('hello, world'))).toBe(0x149bbb7f);
    expect(murmurWord(utf8('The quick brown fox jumps over the lazy dog'))).toBe(0x2e4ff723);
    const words = Uint32Array.of(0x12345678, 0xffffffff, 7);
    expect(murmurOfWords(words)).toBe(murmurWord(new Uint8Array(words.buffer)));
  });
});

describe('signatures', () => {
  test('of datasketch, to the bit', () => {
    const m1 = ['minhash', 'is', 'a', 'probabilistic', 'data', 'structure', 'for', 'estimating', 'the'];
    const sketch = new MinHash({ scheme: 'datasketch', seed: 1 }).addAll([
      ...m1,
      ...['similarity', 'between', 'datasets'],
    ]);
    expect(Array.from(sketch.signature())).toEqual(datasketch.m1_128);
    expect(sketch.count()).toBeCloseTo(datasketch.count_m1, 10);
    const { constants } = drawFunctions('datasketch', 8, 1);
    for (let i = 0; i < 8; i++) {
      const [aHigh, aLow, bHigh, bLow] = Array.from(constants.subarray(4 * i, 4 * i + 4), BigInt) as bigint[];
      expect(String(((aHigh as bigint) << 32n) | (aLow as bigint))).toBe(datasketch.perm_first8_a[i]);
      expect(String(((bHigh as bigint) << 32n) | (bLow as bigint))).toBe(datasketch.perm_first8_b[i]);
    }
  });

  test('of the C# recipe: its constants, and its error on ranges that overlap', () => {
    const constants = new Uint32Array(4 * 400);
    csharp.seeds1.forEach((first: number, i: number) => {
      constants[4 * i] = csharpConstant(first, csharp.seeds2[i]);
      expect(((constants[4 * i] as number) ^ 0x80000000) >>> 0).toBe(csharp.csharp_constants[i]);
    });
    const { size, shift, csharp_estimate } = csharp.ranges;
    const functions = { ...drawFunctions('csharp-fnv', 400, 0), constants };
    const [a, b] = [0, shift].map((start) => {
      const signature = new Uint32Array(400).fill(0xffffffff);
      lowerMinima(
        signature,
        Uint32Array.from({ length: size }, (_, i) => start + i),
        size,
        functions,
      );
      return signature;
    }) as [Uint32Array, Uint32Array];
    const estimate = mean(Array.from(a, (value, i) => Number(value === b[i])));
    expect(estimate).toBe(csharp_estimate);
    expect(estimate - (size - shift) / (size + shift)).toBeLessThan(-0.18);
  });

  test.each(SCHEMES)(
    '%s: as in arbitrary precision, whatever the order and the number of a token',
    (scheme) => {
      const words = [...integers(40, 2 ** 31, 3), 0, 1, 2 ** 32 - 1, 2 ** 31];
      const { constants } = drawFunctions(scheme, 65, 7);
      const options = { scheme, numHashes: 65, seed: 7 };
      const sketch = new MinHash(options).addAll(words);
      expect(Array.from(sketch.signature())).toEqual(minima(words, constants, scheme));
      const other = new MinHash(options).addAll([...words, ...words].reverse());
      expect(other.signature()).toEqual(sketch.signature());
      const first = new MinHash({ ...options, numHashes: 9 }).addAll(words);
      expect(first.signature()).toEqual(sketch.signature().subarray(0, 9));
    },
  );

  test('any token, from a stream, merged', async () => {
    const tokens: Token[] = [
      5,
      -5,
      2 ** 40,
      '5',
      'ä',
      '\ud83d\ude00',
      '',
      utf8('5'),
      new Uint8Array(0),
      'x'.repeat(2000),
    ];
    const all = new MinHash().addAll(tokens);
    expect(all.count()).toBeGreaterThan(5);
    async function* stream() {
      yield* tokens;
    }
    const streamed = await new MinHash().addStream(stream());
    expect(streamed.signature()).toEqual(all.signature());
    const half = new MinHash().addAll(tokens.slice(0, 4));
    half.merge(new MinHash().addAll(tokens.slice(3)));
    expect(half.signature()).toEqual(all.signature());
    expect(half.jaccard(all)).toBe(1);
    // More than the words that are hashed together, read in between.
    const many = Array.from({ length: 3000 }, (_, i) => i);
    const counted = new MinHash({ numHashes: 256 });
    for (const token of many) {
      counted.add(token);
      if (token === 1500) {
        counted.signature();
      }
    }
    expect(counted.signature()).toEqual(new MinHash({ numHashes: 256 }).addAll(many).signature());
    expect(Math.abs(counted.count() / 3000 - 1)).toBeLessThan(3 / Math.sqrt(256));
  });

  test('nothing in common, and nothing at all', () => {
    const empty = new MinHash();
    expect(empty.signature().every((value) => value === 2 ** 32 - 1)).toBe(true);
    expect(empty.jaccard(new MinHash())).toBe(1);
    expect(empty.jaccard(new MinHash().add(1))).toBe(0);
    expect(empty.count()).toBe(0);
  });
});

describe('estimates', () => {
  const base = randomSet(6175, 25000, 1);
  const others = Array.from({ length: 10 }, (_, i) => randomSet(6175, 25000, 2 + i));

  test('of ten random sets, k = 400: all within 0.05, nine within 0.03', () => {
    const sketch = (set: Set<number>) => new MinHash({ numHashes: 400 }).addAll(set);
    const first = sketch(base);
    const sketches = others.map(sketch);
    const errors = sketches.map((one, i) =>
      Math.abs(first.jaccard(one) - jaccard(base, others[i] as Set<number>)),
    );
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.05);
    expect(errors.filter((error) => error < 0.03).length).toBeGreaterThanOrEqual(9);
    // What is stored, against what the sets hold.
    expect([first, ...sketches].reduce((sum, one) => sum + one.signature().length, 0)).toBe(4400);
    expect([base, ...others].reduce((sum, set) => sum + set.size, 0)).toBe(67925);
  });

  test('err by sqrt(J(1−J)/k), and half as much with four times the hashes', () => {
    const a = Array.from({ length: 300 }, (_, i) => i);
    const b = a.map((x) => x + 100);
    const J = jaccard(a, b);
    expect(J).toBe(0.5);
    const rmse = (k: number) => {
      const errors = Array.from({ length: 100 }, (_, seed) => {
        const of = (tokens: number[]) => new MinHash({ numHashes: k, seed }).addAll(tokens);
        return (of(a).jaccard(of(b)) - J) ** 2;
      });
      return Math.sqrt(mean(errors));
    };
    const [few, many] = [rmse(400), rmse(1600)];
    expect(few / Math.sqrt((J * (1 - J)) / 400)).toBeGreaterThan(0.85);
    expect(few / Math.sqrt((J * (1 - J)) / 400)).toBeLessThan(1.15);
    expect(few / many).toBeGreaterThan(1.7);
    expect(few / many).toBeLessThan(2.3);
  });
});

describe('jaccard', () => {
  test('of numbers, strings and bytes, which are three things', () => {
    expect(jaccard([1, 2, 2, 3], [2, 3, 4])).toBe(0.5);
    expect(jaccard(['1'], [1])).toBe(0);
    expect(jaccard([utf8('a')], ['a'])).toBe(0);
    expect(jaccard([utf8('a'), 'b'], [Uint8Array.of(97)])).toBe(0.5);
    expect(jaccard(['\ud800a'], [utf8('a')])).toBe(0);
    expect(jaccard([], [])).toBe(1);
    expect(jaccard([], ['a'])).toBe(0);
  });
});

describe('bands and rows', () => {
  test("are datasketch's where both errors weigh the same", () => {
    for (const [k, table] of [
      [128, datasketch.lsh_params_np128],
      [256, datasketch.lsh_params_np256],
    ] as const) {
      for (const [threshold, [bands, rows]] of Object.entries(table as Record<string, number[]>)) {
        expect(chooseBanding(k, Number(threshold), 0.5), threshold).toEqual({ bands, rows });
      }
    }
  });

  test('miss less where that weighs more', () => {
    const reached = [0.5, 0.8, 0.95].map((weight) =>
      candidateProbability(0.85, chooseBanding(128, 0.8, weight)),
    );
    expect(reached).toEqual([...reached].sort());
    expect(reached[2]).toBeGreaterThan(0.99);
  });
});

describe('what is refused', () => {
  test.each([
    [() => new MinHash({ numHashes: 0 }), 'MinHash: `numHashes` must be an integer from 1 to 65536, got 0.'],
    [() => new MinHash({ seed: -1 }), 'MinHash: `seed` must be an integer from 0'],
    [() => new MinHash({ scheme: 'sha' as 'fmix32' }), "MinHash: `scheme` must be 'fmix32' or"],
    [() => new MinHash({ hashes: 3 } as object), 'MinHash: there is no option `hashes`'],
    [() => new MinHash().add(1.5), 'MinHash: a number in a set must be a safe integer, got 1.5'],
    [() => new MinHash().add(Number.NaN), 'must be a safe integer, got NaN'],
    [
      () => new MinHash().add(null as unknown as string),
      'a token must be an integer, a string or a Uint8Array',
    ],
    [() => new MinHash().addAll('text'), 'a set must be an iterable of tokens'],
    [() => new MinHash().jaccard(new MinHash({ seed: 1 })), 'only signatures of the same functions'],
    [() => new MinHash().merge({} as MinHash), 'the other must be a MinHash'],
    [() => jaccard([1], 5 as unknown as number[]), 'jaccard: a set must be an iterable'],
  ])('%#', (call, message) => {
    expect(call).toThrow(message);
  });
});
