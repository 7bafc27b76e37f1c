/** Random calls of hash families, signatures and what belongs to them. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  codesWithin,
  crossPolytope,
  hadamardTransform,
  hyperplanes,
  jaccard,
  learnHash,
  MinHash,
  minHashSignatures,
  packBits,
  recallOf,
  type Token,
  type VectorFamily,
} from '../../src/search/index.js';
import { BACKENDS } from '../call.js';
import { integers, normals } from '../inputs.js';
import { jaccardOf } from '../oracle/minhash.js';
import { expectFinite, fuzz, outcome, valuesOf } from './fuzz.js';
import { floats, isLarge, junk, mostly, optionsOf, Wanted, withReal } from './junk.js';

const D = fc.integer({ min: 1, max: 9 });
const seed = fc.constantFrom(0, 1, 2 ** 32 - 1);

/** A family's codes: in range, the same for a tensor but for ties, and the first of its probes. */
async function checkFamily(family: VectorFamily, key: number): Promise<void> {
  const { D, N, tables } = family;
  const rows = normals(3 * D, key);
  const codes = family.hash(rows);
  expect(codes.length).toBe(3 * tables);
  expect(codes.every((code) => code >>> 0 < N)).toBe(true);
  if (N <= 2 ** 20) {
    const [tensor] = await valuesOf([tf.tidy(() => family.hashTensor(tf.tensor2d(rows, [3, D])))]);
    expect(Array.from(tensor as Float32Array).every((code) => code >= 0 && code < N)).toBe(true);
  }
  const probes = family.probes(rows.subarray(0, D), 3);
  const each = probes.length / tables;
  expect(each).toBe(Math.min(3, N));
  for (let table = 0; table < tables; table++) {
    const own = probes.subarray(table * each, (table + 1) * each);
    expect(own[0]).toBe(codes[3 * table]);
    expect(new Set(own).size).toBe(each);
  }
}

fuzz(
  'hyperplanes',
  fc.tuple(
    optionsOf(
      {
        ...{ D, bits: fc.integer({ min: 1, max: 32 }), tables: fc.integer({ min: 1, max: 3 }), seed },
        rotation: fc.constantFrom('gaussian', 'orthogonal', 'hadamard'),
        tie: fc.constantFrom('>=', '>'),
        firstBit: fc.constantFrom('least', 'most'),
        planes: fc.constantFrom(
          undefined,
          undefined,
          undefined,
          new Float32Array(6),
          new Float64Array(12).fill(1),
        ),
      },
      ['D'],
    ),
    fc.nat(),
  ),
  async ([options, key]) => {
    const family = await outcome(['hyperplanes'], () => hyperplanes(options as never));
    if (family !== undefined) {
      await checkFamily(family.value, key);
    }
    return family !== undefined;
  },
);

fuzz(
  'crossPolytope',
  fc.tuple(
    optionsOf(
      {
        ...{ D, tables: fc.integer({ min: 1, max: 3 }), seed },
        numBuckets: fc.constantFrom(2, 6, 16, [2, 4], [4, 4, 6]),
        rotation: fc.constantFrom('gaussian', 'hadamard'),
      },
      ['D'],
    ),
    fc.nat(),
  ),
  async ([options, key]) => {
    const family = await outcome(['crossPolytope'], () => crossPolytope(options as never));
    if (family !== undefined && !isLarge(options, ['numBuckets'])) {
      await checkFamily(family.value, key);
    }
    return family !== undefined;
  },
);

fuzz(
  'packBits',
  fc.tuple(
    mostly(fc.array(fc.constantFrom<number | boolean>(0, 1, true, false), { maxLength: 34 })),
    mostly(fc.constantFrom('least' as const, 'most' as const, undefined)),
  ),
  async ([bits, firstBit]) => {
    const code = await outcome(['packBits'], () => packBits(bits, firstBit));
    if (code !== undefined && Array.isArray(bits)) {
      const digits = bits.map((bit) => (bit ? '1' : '0'));
      const text = (firstBit === 'most' ? digits : digits.reverse()).join('');
      expect(code.value).toBe(Number.parseInt(text || '0', 2));
    }
    return code !== undefined;
  },
);

fuzz(
  'codesWithin',
  fc.tuple(mostly(fc.integer({ min: 1, max: 32 })), mostly(fc.integer({ min: 0, max: 40 }))),
  async ([bits, radius]) => {
    const codes = await outcome(['codesWithin'], () => codesWithin(bits, radius));
    if (codes !== undefined && radius >= bits) {
      expect(codes.value).toBe(2 ** bits);
    }
    return codes !== undefined;
  },
);

const neighbours = fc
  .record({ n: fc.integer({ min: 0, max: 4 }), k: fc.integer({ min: 1, max: 4 }), key: fc.nat() })
  .map(({ n, k, key }) => ({ ids: integers(n * k, 9, key), k }));
fuzz('recallOf', fc.tuple(mostly(neighbours), mostly(neighbours)), async ([found, exact]) => {
  const recall = await outcome(['recallOf'], () => recallOf(found, exact));
  if (recall !== undefined) {
    expect(recall.value).toBeGreaterThanOrEqual(0);
    expect(recall.value).toBeLessThanOrEqual(1);
  }
  return recall !== undefined;
});

const token = mostly(
  fc.oneof(
    fc.integer({ min: -5, max: 5 }),
    fc.constantFrom<Token>(2 ** 40, '', 'a', 'rose', '\ud800', '\ud800\u0001', new Uint8Array([1]), 'ü'),
  ) as fc.Arbitrary<Token>,
  60,
);
const tokens = mostly(fc.array(token, { maxLength: 6 }), 30);
const sets = mostly(fc.array(tokens, { maxLength: 4 }), 30);
/** Tokens as an oracle can compare them. */
const plain = (set: readonly Token[]) =>
  set.map((one) => (one instanceof Uint8Array ? `bytes ${one}` : `${typeof one} ${one}`));

fuzz('jaccard', fc.tuple(tokens, tokens), async ([a, b]) => {
  const similarity = await outcome(['jaccard'], () => jaccard(a, b));
  if (similarity !== undefined && Array.isArray(a) && Array.isArray(b)) {
    expect(similarity.value).toBe(jaccardOf(plain(a), plain(b)));
  }
  return similarity !== undefined;
});

const minHashOptions = optionsOf({
  numHashes: fc.integer({ min: 1, max: 20 }),
  seed,
  scheme: fc.constantFrom('fmix32', 'datasketch', 'csharp-fnv'),
});

fuzz(
  'MinHash',
  fc.record({
    options: minHashOptions,
    first: tokens,
    second: tokens,
    other: mostly(fc.constant('like')),
    one: token,
  }),
  async ({ options, first, second, other, one }) => {
    const made = await outcome(['MinHash'], () => new MinHash(options as object));
    if (made === undefined) {
      return false;
    }
    const mine = made.value;
    const theirs = other === 'like' ? new MinHash(options as object) : (other as unknown as MinHash);
    const added = await outcome(['MinHash'], () => mine.addAll(first));
    await outcome(['MinHash'], () => mine.add(one));
    await outcome(['MinHash'], () => (other === 'like' ? theirs : mine).addAll(second));
    await outcome(['MinHash'], () => mine.addStream(second as never));
    const similarity = await outcome(['MinHash'], () => mine.jaccard(theirs));
    if (similarity !== undefined) {
      expect(similarity.value).toBeGreaterThanOrEqual(0);
      expect(similarity.value).toBeLessThanOrEqual(1);
    }
    const merged = await outcome(['MinHash'], () => mine.merge(theirs).signature());
    if (merged !== undefined && added !== undefined) {
      expect(merged.value.length).toBe(mine.numHashes);
      expect(mine.count()).toBeGreaterThanOrEqual(0);
    }
    return merged !== undefined;
  },
);

describe.each(BACKENDS)('on %s', (backend) => {
  const run = { backend, share: backend === 'cpu' ? 1 : 0.1 };

  fuzz(
    'minHashSignatures',
    fc.tuple(sets, minHashOptions),
    async ([given, options]) => {
      const found = await outcome(['minHashSignatures'], () => minHashSignatures(given, options as object));
      if (found !== undefined && Array.isArray(given) && given.every(Array.isArray)) {
        const each = given.map((set) => new MinHash(options as object).addAll(set).signature());
        expect([...found.value]).toEqual(each.flatMap((signature) => [...signature]));
      }
      return found !== undefined;
    },
    run,
  );

  fuzz(
    'hadamardTransform',
    fc.oneof(
      fc
        .record({
          rows: fc.integer({ min: 0, max: 3 }),
          power: fc.integer({ min: 0, max: 5 }),
          key: fc.nat(),
        })
        .map(({ rows, power, key }) => floats([rows, 2 ** power], key)),
      junk,
    ),
    (given) =>
      withReal([given], async ([x]) => {
        const found = await outcome(['hadamardTransform'], () => hadamardTransform(x as tf.Tensor));
        if (found === undefined) {
          return false;
        }
        const twice = hadamardTransform(found.value);
        const [values] = (await valuesOf([twice, found.value])) as [Float32Array];
        if (given instanceof Wanted && given.shape.length === 2) {
          const n = given.shape[1] as number;
          values.forEach((value, i) => {
            expect(Math.abs(value - n * (given.values[i] as number))).toBeLessThan(1e-4 * n);
          });
        }
        return true;
      }),
    run,
  );

  fuzz(
    'learnHash',
    fc.record({
      n: fc.integer({ min: 0, max: 12 }),
      D: fc.integer({ min: 1, max: 4 }),
      key: fc.nat(),
      rows: mostly(fc.constant('fit'), 30),
      labels: mostly(fc.constant('fit'), 30),
      options: optionsOf({
        bits: fc.integer({ min: 1, max: 6 }),
        tables: fc.integer({ min: 1, max: 2 }),
        alpha: fc.constantFrom(0.6, 0.75, 1),
        iterations: fc.integer({ min: 0, max: 2 }),
        cost: fc.constantFrom(0.1, 1, 10),
        loss: fc.constantFrom('squaredHinge', 'hinge', 'logistic', 'passiveAggressive'),
        solver: fc.constantFrom('newton', 'dual'),
        rule: fc.constantFrom('paper', 'tutorial'),
        bias: fc.boolean(),
        seed,
      }),
    }),
    async ({ n, D: depth, key, rows, labels, options }) => {
      const given = rows === 'fit' ? normals(n * depth, key) : (rows as unknown as Float32Array);
      const classes = labels === 'fit' ? integers(n, 3, key) : (labels as unknown as Int32Array);
      const family = await outcome(['learnHash'], () => learnHash(given, classes, options as object));
      if (family !== undefined) {
        expectFinite(family.value.weights.planes as Float32Array, 'hyperplanes');
        await checkFamily(family.value, key);
      }
      return family !== undefined;
    },
    { backend, share: backend === 'cpu' ? 1 : 0.01 },
  );
});
