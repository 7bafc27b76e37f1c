/** Hash families, the Hadamard transform and golden neighbours, on every backend. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import {
  BruteForceIndex,
  crossPolytope,
  hadamardTransform,
  hyperplanes,
  LshIndex,
  packBits,
  recallOf,
} from '../../src/search/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { agreement, type Hash } from '../collisions.js';
import { normals } from '../inputs.js';
import { NumpyNormals } from '../numpy.js';

const golden = (file: string) => JSON.parse(readFileSync(`test/golden/data/search/${file}.json`, 'utf8'));

const ofTensors: Hash = async (family, rows) => {
  const codes = tf.tidy(() => family.hashTensor(tf.tensor2d(rows, [rows.length / family.D, family.D])));
  const values = Int32Array.from(await codes.data());
  codes.dispose();
  return values;
};

describe.each(BACKENDS)('hash families on %s', (backend) => {
  const on = (during: () => Promise<void>) => () => onBackend(backend, during);

  test(
    'hyperplanes give the bits and buckets of the printed projections',
    on(async () => {
      const { result, hashed, buckets } = golden('small_unit_goldens').seed000;
      const planes = Float64Array.of(1, 0, 0, 1);
      const family = hyperplanes({ D: 2, bits: 2, tables: 1, tie: '>', planes });
      const codes = await ofTensors(family, Float32Array.from(result.flat()));
      expect(Array.from(codes)).toEqual(hashed.map((bits: number[]) => packBits(bits)));
      for (const [name, members] of Object.entries(buckets as Record<string, number[]>)) {
        const code = packBits(name.match(/\d/g)?.map(Number) ?? []);
        expect(members.map((i) => codes[i])).toEqual(members.map(() => code));
      }
    }),
  );

  test(
    'hyperplanes pack the least significant bit first, or the most, and count ties as they are told',
    on(async () => {
      const row = Float32Array.from('FTFTFTFFFFTTTFFF', (letter) => (letter === 'T' ? 1 : -1));
      const planes = new Float32Array(16 * 16);
      for (let i = 0; i < 16; i++) {
        planes[i * 17] = 1;
      }
      const codeOf = async (options: object, of = row) =>
        (await ofTensors(hyperplanes({ D: 16, tables: 1, planes, ...options }), of))[0];
      expect(await codeOf({ firstBit: 'most' })).toBe(21560);
      expect(await codeOf({})).toBe(7210);
      expect(await codeOf({}, new Float32Array(16))).toBe(65535);
      expect(await codeOf({ tie: '>' }, new Float32Array(16))).toBe(0);
    }),
  );

  test(
    'the Hadamard transform of 1 … 8, twice, as a matrix, and its gradient',
    on(async () => {
      const values = async (x: tf.Tensor) => Array.from(await x.data());
      const one = tf.tensor1d([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(await values(hadamardTransform(one))).toEqual([36, -4, -8, 0, -16, 0, 0, 0]);
      expect(await values(hadamardTransform(hadamardTransform(one)))).toEqual([
        8, 16, 24, 32, 40, 48, 56, 64,
      ]);
      const x = tf.tensor(normals(3 * 16, 1), [3, 16]);
      const identity = hadamardTransform(tf.eye(16));
      const product = await values(tf.matMul(x, identity as tf.Tensor2D));
      for (const [i, value] of (await values(hadamardTransform(x))).entries()) {
        expect(value).toBeCloseTo(product[i] as number, 4);
      }
      const dy = tf.tensor(normals(3 * 16, 2), [3, 16]);
      const gradient = tf.grad((z: tf.Tensor) => hadamardTransform(z))(x, dy);
      expect(await values(gradient)).toEqual(await values(hadamardTransform(dy)));
      expect(() => hadamardTransform(tf.zeros([6]))).toThrow(/power of two, got the shape \[6\]/);
    }),
  );
});

// On the CPU families hash arrays: test/unit/families.test.ts.
describe.runIf(BACKENDS.includes('webgpu'))('collisions on webgpu', () => {
  test.each(['gaussian', 'orthogonal', 'hadamard'] as const)('of %s hyperplanes: 1 − θ/π', (rotation) =>
    onBackend('webgpu', async () => {
      const families = [0, 1].map((seed) => hyperplanes({ D: 128, bits: 20, tables: 5, rotation, seed }));
      for (const degrees of [10, 30, 45, 60, 90]) {
        const share = await agreement(ofTensors, families, degrees);
        expect(Math.abs(share - (1 - degrees / 180)), `${degrees}°: ${share}`).toBeLessThan(0.012);
      }
    }),
  );

  test('of cross-polytopes by Hadamard transforms: as under uniform rotations', () =>
    onBackend('webgpu', async () => {
      const families = Array.from({ length: 10 }, (_, seed) =>
        crossPolytope({ D: 128, numBuckets: 256, tables: 20, rotation: 'hadamard', seed }),
      );
      const curve = { 10: 0.749, 20: 0.533, 30: 0.372, 45: 0.18, 60: 0.074, 90: 0.0037 };
      for (const [degrees, expected] of Object.entries(curve)) {
        const share = await agreement(ofTensors, families, Number(degrees));
        expect(Math.abs(share - expected), `${degrees}°: ${share}`).toBeLessThan(0.015);
      }
    }));
});

const knn = golden('knn_golden');
const draws = new NumpyNormals();
const points = draws.take(10_000 * 128);
const query = draws.take(128);
const planes = [1, 24].map((tables) => draws.take(tables * 9 * 128)) as [Float64Array, Float64Array];

describe.each(BACKENDS)('the k nearest of 10,000 normal vectors on %s', (backend) => {
  const familyOf = (drawn: Float64Array) =>
    hyperplanes({ D: 128, bits: 9, tables: drawn.length / (9 * 128), tie: '>', planes: drawn });

  // What WebGPU computes itself is float32: a vector beside a hyperplane may be on its other side.
  test.each([
    ['float64', 0, 0],
    ['float32', 1e-5, 2],
  ] as const)('of %s are those of NumPy', (storage, tolerance, beside) =>
    onBackend(backend, async () => {
      const exact = new BruteForceIndex({ D: 128, storage });
      await exact.build(points);
      const nearest = await exact.query(query, { k: 20 });
      expect(Array.from(nearest.ids)).toEqual(knn.exact_topk_ids);
      expectNear(nearest.distances, knn.exact_topk_dist, tolerance);

      expect(Math.floor(Math.log2(10_000 / 16))).toBe(knn.h);
      const one = new LshIndex({ D: 128, storage, center: false, family: familyOf(planes[0]) });
      await one.build(points);
      const [table] = one.stats().tables;
      expect(table).toMatchObject({ buckets: 512, mean: 19.53125 });
      expect(Math.abs((table?.least ?? 0) - 6)).toBeLessThanOrEqual(beside);
      expect(Math.abs((table?.most ?? 0) - 46)).toBeLessThanOrEqual(beside);
      const bucket = await one.range(query, { radius: 1e9 });
      expect(Array.from(bucket.ids).sort((a, b) => a - b)).toEqual(knn.table0.query_bucket);
      expect(bucket.ids.length).toBe(23);
      const few = await one.query(query, { k: 40 });
      expect(few).toMatchObject({ complete: false, k: 40 });
      expect(few.found[0]).toBe(23);
      expect(Array.from(few.ids.subarray(22, 25)).map((id) => id >= 0)).toEqual([true, false, false]);
      expect(few.distances[39]).toBe(Number.POSITIVE_INFINITY);

      const index = new LshIndex({ D: 128, storage, center: false, family: familyOf(planes[1]) });
      await index.build(points);
      for (let again = 0; again < 2; again++) {
        const { ids, distances, candidates } = await index.query(query, { k: 5 });
        expect(Math.abs((candidates[0] as number) - 522)).toBeLessThanOrEqual(beside);
        expect(Array.from(ids)).toEqual(knn.final_ids);
        expectNear(distances, knn.final_dist, tolerance);
        const truth = { ids: Int32Array.from(knn.exact_topk_ids.slice(0, 5)), k: 5 };
        expect(recallOf({ ids, k: 5 }, truth)).toBe(knn.final_recall_at_5);
      }
      for (const index of [exact, one]) {
        index.dispose();
      }
    }),
  );
});

function expectNear(found: Float64Array, expected: readonly number[], tolerance: number): void {
  const furthest = expected.map((value, i) => Math.abs((found[i] as number) - value));
  expect(Math.max(...furthest)).toBeLessThanOrEqual(tolerance);
}
