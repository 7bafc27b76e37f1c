/** Hash families on the CPU: bits and how they are packed, probes, collisions, rotations without a matrix. */
import '@tensorflow/tfjs-backend-cpu';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { cheapestChanges } from '../../src/hashing/combinations.js';
import { restoreFamily } from '../../src/hashing/families.js';
import { lshBuckets } from '../../src/index.js';
import { crossPolytope, hyperplanes, packBits } from '../../src/search/index.js';
import { agreement, type Hash } from '../collisions.js';
import { normals, uniform } from '../inputs.js';
import { NumpyNormals } from '../numpy.js';

const golden = (file: string) => JSON.parse(readFileSync(`test/golden/data/search/${file}.json`, 'utf8'));
await tf.setBackend('cpu');

const ofArrays: Hash = (family, rows) => family.hash(rows);

describe('hyperplanes', () => {
  test('give the bits and buckets of the printed projections', () => {
    const { result, hashed, buckets } = golden('small_unit_goldens').seed000;
    const family = hyperplanes({ D: 2, bits: 2, tables: 1, tie: '>', planes: Float64Array.of(1, 0, 0, 1) });
    const codes = family.hash(Float64Array.from(result.flat()));
    expect(Array.from(codes)).toEqual(hashed.map((bits: number[]) => packBits(bits)));
    expect(new Set(codes).size).toBe(2);
    for (const [name, members] of Object.entries(buckets as Record<string, number[]>)) {
      const code = packBits(name.match(/\d/g)?.map(Number) ?? []);
      expect(members.map((i) => codes[i])).toEqual(members.map(() => code));
    }
  });

  test('pack the least significant bit first, or the most', () => {
    const bits = [...'FTFTFTFFFFTTTFFF'].map((letter) => letter === 'T');
    expect(packBits(bits, 'most')).toBe(21560);
    expect(packBits(bits, 'least')).toBe(7210);
    expect(packBits(Array(32).fill(true))).toBe(2 ** 32 - 1);
    const planes = new Float32Array(16 * 16);
    for (let i = 0; i < 16; i++) {
      planes[i * 17] = 1;
    }
    const row = Float32Array.from(bits, (bit) => (bit ? 1 : -1));
    expect(hyperplanes({ D: 16, tables: 1, planes, firstBit: 'most' }).hash(row)[0]).toBe(21560);
    expect(hyperplanes({ D: 16, tables: 1, planes }).hash(row)[0]).toBe(7210);
  });

  test('count a tie as 1, or as 0', () => {
    const planes = Float32Array.of(1, 0, 0, 1);
    const row = Float32Array.of(0, -0);
    expect(hyperplanes({ D: 2, bits: 2, tables: 1, planes }).hash(row)[0]).toBe(3);
    expect(hyperplanes({ D: 2, bits: 2, tables: 1, planes, tie: '>' }).hash(row)[0]).toBe(0);
  });

  test("agree with NumPy's codes of 10,000 normal vectors", () => {
    const { table0, repeats } = golden('knn_golden');
    const draws = new NumpyNormals();
    const points = draws.take(10_000 * 128);
    const query = draws.take(128);
    const codes = (rows: Float64Array, planes: Float64Array) =>
      hyperplanes({ D: 128, bits: 9, tables: 1, tie: '>', planes }).hash(rows);
    const planes = draws.take(9 * 128);
    const found = codes(points, planes);
    expect(createHash('sha256').update(Buffer.from(found.buffer)).digest('hex')).toBe(
      table0.sha256_int32le_hashes,
    );
    expect(codes(query, planes)[0]).toBe(table0.query_hash);
    for (const { query_hash } of repeats) {
      expect(codes(query, draws.take(9 * 128))[0]).toBe(query_hash);
    }
  });

  test.each(['gaussian', 'orthogonal', 'hadamard'] as const)(
    '%s ones collide as 1 − θ/π',
    async (rotation) => {
      const families = [0, 1].map((seed) => hyperplanes({ D: 128, bits: 20, tables: 5, rotation, seed }));
      for (const degrees of [10, 30, 45, 60, 90]) {
        const share = await agreement(ofArrays, families, degrees);
        expect(Math.abs(share - (1 - degrees / 180)), `${degrees}°: ${share}`).toBeLessThan(0.012);
      }
    },
  );

  test('differ in as many bits as they say, and are made again from config and weights', () => {
    const rows = normals(50 * 24, 3);
    for (const options of [
      { D: 24, bits: 32, tables: 3, rotation: 'hadamard' as const, seed: 9 },
      { D: 24, bits: 5, tables: 2, firstBit: 'most' as const, tie: '>' as const },
      { D: 24, bits: 2, tables: 1, planes: normals(48, 1) },
    ]) {
      const family = hyperplanes(options);
      const config = JSON.parse(JSON.stringify(family.config));
      expect(restoreFamily(family.name, config, family.weights)?.hash(rows)).toEqual(family.hash(rows));
    }
    expect(restoreFamily('toString', {}, {})).toBeUndefined();
  });
});

describe('cross-polytopes', () => {
  // The collision probabilities of a uniform rotation, D = 128.
  const CURVE = { 10: 0.749, 20: 0.533, 30: 0.372, 45: 0.18, 60: 0.074, 90: 0.0037 };

  test('by three Hadamard transforms collide as under uniform rotations', async () => {
    const families = Array.from({ length: 10 }, (_, seed) =>
      crossPolytope({ D: 128, numBuckets: 256, tables: 20, rotation: 'hadamard', seed }),
    );
    for (const [degrees, expected] of Object.entries(CURVE)) {
      const share = await agreement(ofArrays, families, Number(degrees));
      expect(Math.abs(share - expected), `${degrees}°: ${share}`).toBeLessThan(0.015);
    }
  });

  test.each([
    { numBuckets: 32, rotation: 'gaussian' },
    { numBuckets: [6, 8], rotation: 'gaussian' },
    { numBuckets: [16, 4], rotation: 'hadamard' },
  ] as const)('of one head are the buckets of attention: $numBuckets, $rotation', async (options) => {
    const rows = normals(200 * 20, 5);
    const family = crossPolytope({ D: 20, tables: 3, seed: 11, ...options });
    const buckets = lshBuckets(tf.tensor(rows, [1, 1, 200, 20]), { numHashes: 3, seed: 11, ...options });
    expect(Int32Array.from(await buckets.data())).toEqual(family.hash(rows));
    expect(Int32Array.from(await family.hashTensor(tf.tensor(rows, [200, 20])).data())).toEqual(
      family.hash(rows),
    );
    const restored = restoreFamily(family.name, JSON.parse(JSON.stringify(family.config)), family.weights);
    expect(restored?.hash(rows)).toEqual(family.hash(rows));
  });
});

describe('probes', () => {
  test('are the cheapest changes, in order, each once', () => {
    const next = uniform(4);
    for (let trial = 0; trial < 30; trial++) {
      let stride = 1;
      const parts = Array.from({ length: 4 }, () => {
        const size = 1 + Math.floor(3 * next());
        const costs = Array.from({ length: size }, next).sort((a, b) => a - b);
        const part = costs.map((cost, i) => ({ change: (i + 1) * stride, cost }));
        stride *= size + 1;
        return part;
      });
      const sums = parts.reduce(
        (all, part) => all.flatMap((one) => [one, ...part.map((two) => add(one, two))]),
        [{ change: 0, cost: 0 }],
      );
      const expected = sums.sort((a, b) => a.cost - b.cost).map(({ change }) => change);
      expect(cheapestChanges(parts, sums.length + 5), `trial ${trial}`).toEqual(expected);
    }
  });

  test.each([
    hyperplanes({ D: 12, bits: 6, tables: 2 }),
    crossPolytope({ D: 12, numBuckets: [4, 6], tables: 2 }),
  ])('begin with the own code and reach all codes: $name', (family) => {
    const row = normals(12, 8);
    const own = family.hash(row);
    const probes = family.probes(row, 1000);
    for (let table = 0; table < 2; table++) {
      const codes = probes.subarray(table * family.N, (table + 1) * family.N);
      expect(codes[0]).toBe(own[table]);
      expect([...codes].sort((a, b) => a - b)).toEqual(Array.from({ length: family.N }, (_, i) => i));
    }
  });
});

const add = (a: { change: number; cost: number }, b: { change: number; cost: number }) => ({
  change: a.change + b.change,
  cost: a.cost + b.cost,
});

test('wrong options are refused by name', () => {
  expect(() => hyperplanes({ D: 4, bits: 33 })).toThrow(
    'hyperplanes: `bits` must be an integer from 1 to 32, got 33.',
  );
  expect(() => hyperplanes({ D: 4, bits: 2, tables: 1, planes: new Float32Array(7) })).toThrow(
    /= 8 numbers, got 7/,
  );
  expect(() => crossPolytope({ D: 4, numBuckets: 7 })).toThrow(/even number from 2 up, got 7. Try 8/);
  expect(() => crossPolytope({ D: 0 })).toThrow(/`D` must be an integer from 1 to 1048576, got 0/);
});
