/** Indexes on the CPU: golden neighbours, exactness at full effort, adds and removes, odd inputs, refusals. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { planted } from '../../bench/search/planted.js';
import { CodeBlocks } from '../../src/search/CodeBlocks.js';
import { hammingFinder } from '../../src/search/hamming.js';
import {
  BinaryIndex,
  BruteForceIndex,
  codesWithin,
  crossPolytope,
  hyperplanes,
  LshIndex,
  loadIndex,
  recallOf,
  type VectorFamily,
} from '../../src/search/index.js';
import { integers, normals, uniform } from '../inputs.js';

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

const D = 24;
const rows = clustered(900, D, 30, 1);
const queries = clustered(40, D, 30, 1).map((x, i) => x + 0.05 * Math.sin(i));
const hashed = {
  BinaryIndex: () => new BinaryIndex({ D, family: hyperplanes({ D, bits: 16, tables: 6 }) }),
  LshIndex: () => new LshIndex({ D, family: hyperplanes({ D, bits: 9, tables: 4 }) }),
};
const all = { BruteForceIndex: () => new BruteForceIndex({ D }), ...hashed };

describe.each(['euclidean', 'cosine', 'innerProduct'] as const)('exact search by %s', (metric) => {
  // So many numbers that a sum of squares is left when it is beyond the farthest of the nearest.
  const D = 203;
  const rows = clustered(900, D, 30, 1);
  const queries = clustered(40, D, 30, 1).map((x, i) => x + 0.05 * Math.sin(i));
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

test.each(['float32', 'float16', 'float64'] as const)(
  'cosines of %s that come after a query',
  async (storage) => {
    const index = new BruteForceIndex({ D, metric: 'cosine', storage });
    const half = rows.length / 2;
    const longer = rows.subarray(half).map((x) => 3 * x);
    await index.build(rows.subarray(0, half));
    await index.query(queries);
    const added = await index.add(longer);
    index.remove(added.subarray(0, 5));
    for (const change of [() => {}, () => index.compact()]) {
      await change();
      const fresh = loadIndex(index.save()) as BruteForceIndex;
      expect(await index.query(queries)).toEqual(await fresh.query(queries));
      const own = await index.query(longer.subarray(5 * D), { k: 1 });
      expect(Math.max(...own.distances)).toBeLessThan(1e-6);
    }
  },
);

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

  test('reaches the recall that it was tuned to, with other queries', async () => {
    const all5000 = clustered(5000, D, 100, 10);
    const [rows, held] = [all5000.subarray(0, 4000 * D), all5000.subarray(4000 * D)];
    const index = make();
    await index.build(rows);
    const truth = all.BruteForceIndex();
    await truth.build(rows);
    const exact = await truth.query(held);
    await expect(index.query(held, { targetRecall: 0.9 })).rejects.toThrow(
      /Call tune\(\{ targetRecall: 0.9 \}\)/,
    );
    for (const targetRecall of [0.8, 0.9, 0.95]) {
      const { effort, candidates } = await index.tune({ targetRecall });
      const found = await index.query(held, { targetRecall });
      const reached = recallOf(found, exact);
      expect(reached, `${targetRecall}: ${JSON.stringify(effort)}`).toBeGreaterThan(targetRecall - 0.01);
      expect(reached, `${targetRecall}: ${JSON.stringify(effort)}`).toBeLessThan(targetRecall + 0.03);
      expect(await index.query(held, effort)).toEqual(found);
      const compared = found.candidates.reduce((sum, one) => sum + one, 0) / 1000;
      expect(Math.abs(compared / candidates - 1)).toBeLessThan(0.1);
    }
    const saved = loadIndex(index.save()) as typeof index;
    expect((await saved.query(held, { targetRecall: 0.8 })).candidates).toEqual(
      (await index.query(held, { targetRecall: 0.8 })).candidates,
    );
  });
});

test.each(Object.entries(hashed))('%s is tuned to compare as many as are asked for', async (_name, make) => {
  const index = make();
  await index.build(rows);
  for (const k of [1, 10]) {
    const { effort, recall } = await index.tune({ targetRecall: 0.05, k });
    expect(recall).toBeGreaterThan(0.05);
    expect(effort.maxCandidates).toBe(k);
  }
});

test.each(Object.entries(hashed))('%s of no vectors is tuned to nothing', async (_name, make) => {
  const index = make();
  expect(await index.tune({ targetRecall: 0.9 })).toMatchObject({ recall: 1, error: 0, candidates: 0 });
  expect((await index.query(queries, { targetRecall: 0.9 })).complete).toBe(false);
});

test('cross-polytopes find 1.5 times what hyperplanes find, among as many candidates', async () => {
  const [n, depth, asked, seed] = [20_000, 128, 300, 1];
  const data = planted({ n, D: depth, queries: asked, near: 1, seed });
  const common = { D: depth, tables: 12, rotation: 'hadamard', seed } as const;
  const seek = async (family: VectorFamily) => {
    const index = new LshIndex({ D: depth, family, center: false });
    await index.build(data.rows);
    const { ids, candidates } = await index.query(data.queries, { k: 1 });
    const found = ids.filter((id, query) => id === query).length;
    return { found, candidates: candidates.reduce((sum, one) => sum + one, 0) };
  };
  const planes = await seek(hyperplanes({ ...common, bits: 14 }));
  // As many codes, and all of one rotation's columns: equally likely too.
  const corners = await seek(crossPolytope({ ...common, numBuckets: [128, 128] }));
  const seen = `seed ${seed}: ${JSON.stringify({ planes, corners })}`;
  expect(Math.abs(corners.candidates / planes.candidates - 1), seen).toBeLessThan(0.06);
  expect(corners.found / planes.found, seen).toBeGreaterThan(1.5);
});

describe('codes lying on their side', () => {
  test.each([
    [1, 1, 150],
    [3, 30, 150],
    [1, 16, 150],
    [8, 32, 2500],
    [17, 31, 150],
  ])('%i words of %i bits: the nearest of %i are those of a sort', (tables, bits, count) => {
    const words = tables + 1;
    const next = uniform(tables);
    // Codes near each other, far from, and equal to the first.
    const code = (share: number) =>
      Array.from({ length: tables }, () =>
        Array.from({ length: bits }, (_, bit) => (next() < share ? 1 << bit : 0)).reduce((a, b) => a | b, 0),
      );
    const codes = Array.from({ length: count }, (_, i) => (i % 50 === 49 ? code(1) : code((i % 10) / 10)));
    const blocks = new CodeBlocks(tables, bits);
    const packed = Int32Array.from(codes.flatMap((one) => [...one, 0x7ead]));
    blocks.update(packed, words, 40);
    blocks.update(packed, words, count);
    const allowed = Uint8Array.from({ length: count + 50 }, (_, i) => Number(i < count && i % 7 !== 3));
    const differing = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, word, i) => sum + bitsOf(word ^ (b[i] as number)), 0);
    // Two groups of eight and one of three, equal ones among them.
    const some = [code(0), code(0.5), code(1), code(0.3), codes[20] as number[]];
    const queries = [...some, ...Array.from({ length: 11 }, (_, i) => code(i / 11)), ...some.slice(2)];
    for (const [most, radius] of [
      [1, 1e9],
      [20, 1e9],
      [count, 1e9],
      [count, Math.floor((tables * bits) / 3)],
      [10, 0],
    ] as const) {
      const packedQueries = Int32Array.from(queries.flatMap((query) => [...query, 0]));
      const { slots, order, find } = hammingFinder(blocks, packedQueries, words, { allowed, most, radius });
      expect(order?.slice().sort()).toEqual(Int32Array.from(queries.keys()));
      for (const i of order as Int32Array) {
        const query = queries[i] as number[];
        const expected = codes
          .map((one, slot) => ({ slot, distance: differing(one, query) }))
          .filter(({ slot, distance }) => allowed[slot] === 1 && distance <= radius)
          .sort((a, b) => a.distance - b.distance || a.slot - b.slot)
          .slice(0, most);
        // In order of distance; of equals the first are found, in whatever order.
        const found = Array.from(slots.subarray(0, find(i)), (slot) => ({
          slot,
          distance: differing(codes[slot] as number[], query),
        }));
        expect(found.map(({ distance }) => distance)).toEqual(expected.map(({ distance }) => distance));
        expect(new Set(found.map(({ slot }) => slot))).toEqual(new Set(expected.map(({ slot }) => slot)));
      }
    }
  });

  test('a near one is found in a block that was far before it came', () => {
    const blocks = new CodeBlocks(1, 32);
    // A group of 32 blocks at a distance of 8, part of a block at 32, and then the query's own code.
    const codes = Int32Array.from({ length: 1024 + 9 }, (_, i) => (i < 1024 ? ~0xff : i < 1024 + 8 ? 0 : -1));
    blocks.update(codes, 1, 1024 + 8);
    blocks.update(codes, 1, codes.length);
    const limits = { allowed: new Uint8Array(codes.length).fill(1), most: 1, radius: 32 };
    const { slots, find } = hammingFinder(blocks, Int32Array.of(-1), 1, limits);
    expect(find(0)).toBe(1);
    expect(slots[0]).toBe(1024 + 8);
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

  test('keeps nothing of its arguments and results', async () => {
    const index = make();
    const given = rows.slice(0, 50 * D);
    const ids = Int32Array.from({ length: 50 }, (_, i) => 2 * i);
    await index.build(given, ids);
    const answer = await index.query(queries);
    given.fill(0);
    ids.fill(1);
    expect(await index.query(queries)).toEqual(answer);
    const bytes = index.save();
    const loaded = loadIndex(bytes) as typeof index;
    bytes.fill(0);
    expect(await loaded.query(queries)).toEqual(answer);
    const other = make();
    const added = await other.add(rows.slice(0, 50 * D));
    const first = await other.query(queries);
    added.fill(7);
    expect(await other.query(queries)).toEqual(first);
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

function bitsOf(word: number): number {
  return (word >>> 0).toString(2).replaceAll('0', '').length;
}
