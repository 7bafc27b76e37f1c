/** Indexes on the CPU: golden neighbours, exactness at full effort, adds and removes, odd inputs, refusals. */
import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import {
  BinaryIndex,
  BruteForceIndex,
  codesWithin,
  crossPolytope,
  hyperplanes,
  LshIndex,
  recallOf,
} from '../../src/search/index.js';
import { integers, normals, uniform } from '../inputs.js';
import { NumpyNormals } from '../numpy.js';

await tf.setBackend('cpu');

/** Vectors around `centres` points: what an index by hash codes is for. */
function clustered(n: number, D: number, centres: number, seed: number): Float32Array {
  const middle = normals(centres * D, seed, false);
  const noise = normals(n * D, seed + 1, false);
  return noise.map((x, i) => 0.4 * x + (middle[((Math.floor(i / D) * 7) % centres) * D + (i % D)] as number));
}

/** All distances in float64, sorted: naive. */
function sortedDistances(rows: Float32Array, query: Float32Array, metric: string) {
  const D = query.length;
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, d) => sum + x * (b[d] as number), 0);
  return Array.from({ length: rows.length / D }, (_, id) => {
    const row = rows.subarray(id * D, (id + 1) * D);
    const product = dot(row, query);
    const lengths = Math.sqrt(dot(row, row) * dot(query, query));
    const distance = {
      euclidean: Math.sqrt(dot(row, row) + dot(query, query) - 2 * product),
      cosine: lengths === 0 ? 1 : 1 - product / lengths,
      innerProduct: -product,
    }[metric] as number;
    return { id, distance };
  }).sort((a, b) => a.distance - b.distance || a.id - b.id);
}

describe('the k nearest of 10,000 normal vectors', () => {
  const golden = JSON.parse(readFileSync('test/golden/data/search/knn_golden.json', 'utf8'));
  const draws = new NumpyNormals();
  const points = draws.take(10_000 * 128);
  const query = draws.take(128);
  const planes = (tables: number) => draws.take(tables * 9 * 128);

  test('are exact to every digit', async () => {
    const index = new BruteForceIndex({ D: 128, storage: 'float64' });
    await index.build(points);
    const { ids, distances } = await index.query(query, { k: 20 });
    expect(Array.from(ids)).toEqual(golden.exact_topk_ids);
    expect(Array.from(distances)).toEqual(golden.exact_topk_dist);
  });

  test('are those of one table, and of 24', async () => {
    expect(Math.floor(Math.log2(10_000 / 16))).toBe(golden.h);
    const common = { D: 128, storage: 'float64', center: false } as const;
    const familyOf = (tables: number) =>
      hyperplanes({ D: 128, bits: 9, tables, tie: '>', planes: planes(tables) });
    const one = new LshIndex({ ...common, family: familyOf(1) });
    await one.build(points);
    expect(one.stats().tables).toEqual([{ buckets: 512, mean: 19.53125, least: 6, most: 46 }]);
    const bucket = await one.range(query, { radius: 1e9 });
    expect(Array.from(bucket.ids).sort((a, b) => a - b)).toEqual(golden.table0.query_bucket);
    expect(bucket.ids.length).toBe(23);

    const index = new LshIndex({ ...common, family: familyOf(24) });
    await index.build(points);
    for (let again = 0; again < 2; again++) {
      const { ids, distances, candidates } = await index.query(query, { k: 5 });
      expect(Array.from(candidates)).toEqual([522]);
      expect(Array.from(ids)).toEqual(golden.final_ids);
      expect(Array.from(distances)).toEqual(golden.final_dist);
      const exact = { ids: Int32Array.from(golden.exact_topk_ids.slice(0, 5)), k: 5 };
      expect(recallOf({ ids, k: 5 }, exact)).toBe(golden.final_recall_at_5);
    }
    const few = await one.query(query, { k: 40 });
    expect(few).toMatchObject({ complete: false, k: 40 });
    expect(few.found[0]).toBe(23);
    expect(Array.from(few.ids.subarray(22, 25)).map((id) => id >= 0)).toEqual([true, false, false]);
    expect(few.distances[39]).toBe(Number.POSITIVE_INFINITY);
  });
});

const D = 24;
const rows = clustered(900, D, 30, 1);
const queries = clustered(40, D, 30, 1).map((x, i) => x + 0.05 * Math.sin(i));
const hashed = {
  BinaryIndex: () => new BinaryIndex({ D, family: hyperplanes({ D, bits: 16, tables: 6 }) }),
  LshIndex: () => new LshIndex({ D, family: hyperplanes({ D, bits: 9, tables: 4 }) }),
};
const all = { BruteForceIndex: () => new BruteForceIndex({ D }), ...hashed };

describe.each(['euclidean', 'cosine', 'innerProduct'] as const)('exact search by %s', (metric) => {
  test.each(['float32', 'float16', 'float64'] as const)('of %s is that of a sort', async (storage) => {
    const index = new BruteForceIndex({ D, metric, storage });
    await index.build(rows);
    const found = await index.query(queries, { k: 10 });
    for (let i = 0; i < 40; i++) {
      const expected = sortedDistances(rows, queries.subarray(i * D, (i + 1) * D), metric).slice(0, 10);
      const tolerance = storage === 'float16' ? 2e-2 : 1e-5;
      for (const [j, { id, distance }] of expected.entries()) {
        expect(Math.abs((found.distances[i * 10 + j] as number) - distance)).toBeLessThan(tolerance);
        if (storage === 'float64') {
          expect(found.ids[i * 10 + j]).toBe(id);
        }
      }
    }
  });
});

describe.each(Object.entries(hashed))('%s', (_name, make) => {
  test('finds true distances, is monotone in effort and exact at full radius', async () => {
    const index = make();
    await index.build(rows);
    const truth = all.BruteForceIndex();
    await truth.build(rows);
    const exact = await truth.query(queries);
    const full = await truth.query(queries, { k: 900 });
    let before = -1;
    for (const hammingRadius of [0, 1, 2, 4, index.family.bits * (index instanceof BinaryIndex ? 6 : 1)]) {
      const found = await index.query(queries, { hammingRadius });
      const recall = recallOf(found, exact);
      expect(recall).toBeGreaterThanOrEqual(before);
      before = recall;
      for (let i = 0; i < found.ids.length; i++) {
        const id = found.ids[i] as number;
        if (id >= 0) {
          const query = Math.floor(i / 10);
          const rank = full.ids.subarray(query * 900, (query + 1) * 900).indexOf(id);
          expect(found.distances[i]).toBe(full.distances[query * 900 + rank]);
        }
      }
    }
    const found = await index.query(queries, {
      hammingRadius: index.family.bits * (index instanceof BinaryIndex ? 6 : 1),
    });
    expect(found.ids).toEqual(exact.ids);
    expect(found.distances).toEqual(exact.distances);
    const near = await index.range(queries, { radius: 2, hammingRadius: index.family.bits });
    const within = await truth.range(queries, { radius: 2 });
    expect(new Set(within.ids)).toEqual(new Set([...within.ids, ...near.ids]));
  });

  test('reaches the recall that it was tuned to', async () => {
    const index = make();
    await index.build(clustered(4000, D, 100, 5));
    const held = clustered(4400, D, 100, 5).subarray(4000 * D);
    const truth = all.BruteForceIndex();
    await truth.build(clustered(4000, D, 100, 5));
    await expect(index.query(held, { targetRecall: 0.9 })).rejects.toThrow(
      /Call tune\(\{ targetRecall: 0.9 \}\)/,
    );
    const { recall, effort } = await index.tune({ targetRecall: 0.9 });
    expect(recall).toBeGreaterThanOrEqual(0.9);
    const found = await index.query(held, { targetRecall: 0.9 });
    const reached = recallOf(found, await truth.query(held));
    expect(reached, `effort ${effort}`).toBeGreaterThanOrEqual(0.87);
  });
});

test('more probes find more, by tables of bits and of corners', async () => {
  const truth = all.BruteForceIndex();
  await truth.build(rows);
  const exact = await truth.query(queries);
  for (const family of [
    hyperplanes({ D, bits: 10, tables: 2 }),
    crossPolytope({ D, numBuckets: [16, 8], tables: 2 }),
  ]) {
    const index = new LshIndex({ D, family });
    await index.build(rows);
    let before = 0;
    for (const probes of [1, 2, 8, 64, family.N]) {
      const found = await index.query(queries, { probes });
      const recall = recallOf(found, exact);
      expect(recall).toBeGreaterThanOrEqual(before);
      before = recall;
    }
    expect(before).toBe(1);
    const capped = await index.query(queries, { probes: 64, maxCandidates: 7 });
    expect(Math.max(...capped.candidates)).toBe(7);
  }
  expect([0, 1, 2, 3, 4, 10].map((radius) => codesWithin(16, radius))).toEqual([
    1, 17, 137, 697, 2517, 58651,
  ]);
});

describe.each(Object.entries(all))('%s', (name, make) => {
  test('adds and removes as if built anew', async () => {
    const next = uniform(3);
    const index = make();
    await index.build(rows.subarray(0, 100 * D));
    const added = await index.add(rows.subarray(100 * D, 101 * D));
    expect(Array.from(added)).toEqual([100]);
    for (let first = 101; first < 900; ) {
      const count = Math.min(900 - first, 1 + Math.floor(90 * next()));
      await index.add(rows.subarray(first * D, (first + count) * D));
      first += count;
      index.remove([Math.floor(first * next()), 100000]);
    }
    const gone = new Set(integers(300, 900, 4));
    index.remove(gone);
    const found = await index.query(queries);
    expect([...found.ids].some((id) => gone.has(id))).toBe(false);
    await index.compact();
    expect(index.stats().removed).toBe(0);
    const left = (await index.query(queries, { k: 900, ...(name === 'LshIndex' && { probes: 512 }) })).ids
      .subarray(0, index.size)
      .slice()
      .sort();
    const fresh = make();
    const values = Float32Array.from([...left].flatMap((id) => [...rows.subarray(id * D, (id + 1) * D)]));
    await fresh.build(values, left);
    expect(await index.query(queries)).toEqual(await fresh.query(queries));
    expect(index.stats()).toEqual(fresh.stats());
    await expect(index.add(values.subarray(0, D), [left[0] as number])).rejects.toThrow(/none in use/);
  });

  test('answers odd questions', async () => {
    const index = make();
    expect(await index.query(queries, { k: 3 })).toMatchObject({ complete: false });
    const nothing = await index.query(new Float32Array(0));
    expect(nothing.ids.length).toBe(0);
    const zeros = new Float32Array(5 * D);
    await index.build(zeros);
    const same = await index.query(zeros.subarray(0, D), { k: 7 });
    expect(Array.from(same.ids)).toEqual([0, 1, 2, 3, 4, -1, -1]);
    expect(Array.from(same.distances.subarray(0, 5))).toEqual([0, 0, 0, 0, 0]);
    expect(Array.from(same.found)).toEqual([5]);
    const odd = await index.query(zeros.subarray(0, D), { k: 7, filter: (id) => id % 2 === 1 });
    expect(Array.from(odd.ids.subarray(0, 3))).toEqual([1, 3, -1]);
    const tensor = tf.zeros([1, D]) as tf.Tensor;
    expect((await index.query(tensor, { k: 1 })).ids[0]).toBe(0);
    expect(tensor.isDisposed).toBe(false);
    const range = await index.range(zeros.subarray(0, 2 * D), { radius: 0 });
    expect(Array.from(range.starts)).toEqual([0, 5, 10]);
    tensor.dispose();
  });

  test('refuses what makes no sense, and keeps what it has', async () => {
    const index = make();
    await index.build(rows);
    const bad = rows.slice();
    bad[17 * D + 3] = Number.NaN;
    await expect(index.build(bad)).rejects.toThrow(
      `${name}.build: \`rows\` must be finite, got NaN in row 17.`,
    );
    await expect(index.add(new Float32Array(D + 1))).rejects.toThrow(
      /whole vectors of D = 24 numbers, got 25/,
    );
    await expect(index.query(queries, { k: 0 })).rejects.toThrow(/`k` must be an integer from 1/);
    await expect(index.query(queries, { n: 3 } as object)).rejects.toThrow(/there is no option `n`/);
    await expect(index.query(tf.zeros([2, 3]))).rejects.toThrow(/\[n, D\] = \[n, 24\], got \[2,3\]/);
    expect(index.size).toBe(900);
    index.dispose();
    await expect(index.query(queries)).rejects.toThrow(/is disposed/);
  });
});

test('hash codes are refused for inner products, with the reason', () => {
  expect(() => new LshIndex({ D, metric: 'innerProduct' })).toThrow(/alike where angles are small/);
  expect(() => new BinaryIndex({ D, family: crossPolytope({ D }) })).toThrow(/codes of bits/);
  expect(() => new LshIndex({ D, family: hyperplanes({ D: 5 }) })).toThrow(/D = 24 numbers, got D = 5/);
});

test('cosine distances of clusters are found by centred codes', async () => {
  const index = new BinaryIndex({ D, metric: 'cosine' });
  await index.build(rows.map((x) => x + 2));
  const truth = new BruteForceIndex({ D, metric: 'cosine' });
  await truth.build(rows.map((x) => x + 2));
  const asked = queries.map((x) => x + 2);
  const recall = recallOf(await index.query(asked, { maxCandidates: 60 }), await truth.query(asked));
  expect(recall).toBeGreaterThan(0.95);
});

describe('in numbers', () => {
  test('100,000 adds and 20,000 removes, then compact, are a fresh build', async () => {
    const [n, depth] = [100_000, 8];
    const values = normals(n * depth, 21, false);
    const family = hyperplanes({ D: depth, bits: 12, tables: 3 });
    const index = new LshIndex({ D: depth, family });
    const next = uniform(22);
    const gone = new Set<number>();
    for (let first = 0; first < n; ) {
      const count = Math.min(n - first, first % 2 === 0 ? 1 : Math.ceil(900 * next()));
      await index.add(values.subarray(first * depth, (first + count) * depth));
      first += count;
      while (gone.size < first / 5) {
        const id = Math.floor(next() * first);
        gone.add(id);
        index.remove([id]);
      }
    }
    expect(index.size).toBe(80_000);
    await index.compact();
    const left = Int32Array.from({ length: n }, (_, id) => id).filter((id) => !gone.has(id));
    const rows = new Float32Array(left.length * depth);
    left.forEach((id, i) => {
      rows.set(values.subarray(id * depth, (id + 1) * depth), i * depth);
    });
    const fresh = new LshIndex({ D: depth, family });
    await fresh.build(rows, left);
    expect(Buffer.from(index.save()).equals(fresh.save())).toBe(true);
    const asked = normals(50 * depth, 23, false);
    expect(await index.query(asked, { probes: 4 })).toEqual(await fresh.query(asked, { probes: 4 }));
  });

  test('1,000 queries leave no tensor', async () => {
    const index = all.BinaryIndex();
    await index.build(rows);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 1000; i++) {
      await index.query(queries.subarray((i % 40) * D, ((i % 40) + 1) * D), { k: 3 });
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
