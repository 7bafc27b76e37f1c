/** Hash families, search kernels and indexes on the GPU, against oracles and the CPU. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { lshAttention, lshBuckets } from '../../src/index.js';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  loadIndex,
} from '../../src/search/index.js';
import { encodeFloat16 } from '../../src/storage/float16.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers, normals } from '../inputs.js';
import { toFloat16 } from '../oracle/float16.js';
import { runKernel } from './runKernel.js';

const GPU = BACKENDS.includes('webgpu');
if (!GPU) {
  console.info('skipped: the search kernels, LSH_BACKENDS does not name webgpu');
}

describe.each(BACKENDS)('on %s', (backend) => {
  const families = [
    hyperplanes({ D: 20, bits: 32, tables: 3, seed: 5 }),
    hyperplanes({ D: 20, bits: 7, tables: 4, rotation: 'hadamard', tie: '>' }),
    hyperplanes({ D: 20, bits: 9, tables: 2, rotation: 'orthogonal', firstBit: 'most' }),
    crossPolytope({ D: 20, numBuckets: [12, 4], tables: 3 }),
    crossPolytope({ D: 20, numBuckets: 64, tables: 2, rotation: 'hadamard' }),
  ];
  test.each(families)('tensors get the codes of arrays but for near ties: $config', async (family) => {
    const rows = normals(700 * 20, 9);
    const codes = await onBackend(backend, async () =>
      tf.tidy(() => family.hashTensor(tf.tensor(rows, [700, 20]))).data(),
    );
    const expected = family.hash(rows);
    const different = expected.filter((code, i) => code !== codes[i]).length;
    expect(different, 'near ties').toBeLessThanOrEqual(1);
  });

  test('a zero vector lies on all planes', async () => {
    const zero = new Float32Array(20);
    for (const family of families) {
      const codes = await onBackend(backend, async () =>
        tf.tidy(() => family.hashTensor(tf.tensor(zero, [1, 20]))).data(),
      );
      expect(Int32Array.from(codes)).toEqual(family.hash(zero));
    }
  });

  test('attention takes any family as its hash', async () => {
    await onBackend(backend, async () => {
      const before = tf.memory().numTensors;
      const shape: [number, number, number, number] = [2, 3, 50, 16];
      const qk = tf.tensor(normals(2 * 3 * 50 * 16, 1), shape);
      const mask = tf.tensor2d(
        integers(100, 4, 2).map((x) => Number(x > 0)),
        [2, 50],
        'int32',
      );
      const hash = hyperplanes({ D: 16, bits: 3, tables: 2, tie: '>' });
      const options = { hash, mask, chunkLength: 8 };
      const buckets = lshBuckets(qk, options);
      const found = await buckets.data();
      const expected = hash.hash((await qk.data()) as Float32Array);
      const padding = await mask.data();
      for (let i = 0; i < found.length; i++) {
        const [l, r, row] = [i % 50, Math.floor(i / 50) % 2, Math.floor(i / 100)];
        const masked = padding[Math.floor(row / 3) * 50 + l] === 0;
        expect(found[i]).toBe(masked ? 8 : expected[r * 300 + row * 50 + l]);
      }
      const out = lshAttention(qk, qk, options);
      const same = lshAttention(qk, qk, { buckets, numHashes: 2, numBuckets: 8, chunkLength: 8, mask });
      expect((await out.data()).every(Number.isFinite)).toBe(true);
      expect(() => lshAttention(qk, qk, { ...options, numHashes: 2 })).toThrow(
        /`numHashes` cannot be given with `hash`/,
      );
      expect(() => lshAttention(qk, qk, { hash: families[0] as typeof hash })).toThrow(
        /D = 16 numbers, got D = 20/,
      );
      tf.dispose([qk, mask, buckets, out, same]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});

/** What a metric of the kernels makes of a vector and a query, in float64. */
function compared(metric: number, x: Float32Array, y: Float32Array): number {
  const sum = (of: (a: number, b: number) => number) =>
    x.reduce((all, a, d) => all + of(a, y[d] as number), 0);
  const product = sum((a, b) => a * b);
  const values = [sum((a, b) => (a - b) ** 2), -product / Math.sqrt(sum((a) => a * a)), -product];
  return values[metric] as number;
}

describe.runIf(GPU)('kernels', () => {
  test('search/hamming counts differing bits', async () => {
    const words = (n: number, seed: number) =>
      Uint32Array.from(integers(n * 8, 2 ** 32, seed), (x) => x >>> 0);
    const [codes, queryCodes] = [words(100, 1), words(3, 2)];
    const allowed = Uint32Array.from({ length: 130 }, (_, i) => Number(i % 7 !== 0));
    const { keys } = await runKernel('search/hamming', {
      params: { slots: 130, firstSlot: 30, partSlots: 100, queries: 3, vectors: 2, lastKey: 257 },
      workgroups: 2,
      buffers: { codes, queryCodes, allowed, keys: new Uint32Array(390).fill(9999) },
    });
    for (let q = 0; q < 3; q++) {
      for (let slot = 0; slot < 130; slot++) {
        let distance = 0;
        for (let word = 0; word < 8 && slot >= 30; word++) {
          const differing = (codes[(slot - 30) * 8 + word] as number) ^ (queryCodes[q * 8 + word] as number);
          distance += (differing >>> 0).toString(2).replaceAll('0', '').length;
        }
        const expected = slot < 30 ? 9999 : slot % 7 === 0 ? 257 : distance;
        expect(keys[q * 130 + slot], `query ${q}, slot ${slot}`).toBe(expected);
      }
    }
  });

  test.each([0, 1, 2])(
    'search/rerank compares by metric %i, listed or not, 32 and 16 bits',
    async (METRIC) => {
      const [n, D, queries] = [90, 24, 2];
      const values = normals(n * D, 3).map(toFloat16);
      const asked = normals(queries * D, 4);
      const lists = Uint32Array.from(integers(queries * n, n, 5));
      const allowed = new Uint32Array(n).fill(1);
      allowed[7] = 0;
      for (const half of [false, true]) {
        const rows = new Uint32Array((half ? encodeFloat16(values) : values).buffer as ArrayBuffer);
        for (const listed of [0, 1]) {
          const width = listed ? 70 : n;
          const tiles = 2;
          const { values: found } = await runKernel('search/rerank', {
            constants: { HALF: Number(half), METRIC },
            params: {
              ...{ slots: n, firstSlot: 0, partSlots: n, width, vectors: half ? 3 : 6, listed, tiles },
              rowScale: 1,
            },
            workgroups: tiles * queries,
            buffers: { rows, queries: asked, lists, allowed, values: new Float32Array(queries * width) },
          });
          for (let i = 0; i < queries * width; i++) {
            const [q, place] = [Math.floor(i / width), i % width];
            const slot = listed ? (lists[q * n + place] as number) : place;
            const x = values.subarray(slot * D, (slot + 1) * D);
            const exact = compared(METRIC, x, asked.subarray(q * D, (q + 1) * D));
            const expected = slot === 7 ? 3e38 : exact;
            expect(Math.abs((found[i] as number) - expected) / Math.max(1, Math.abs(expected))).toBeLessThan(
              2e-6,
            );
          }
        }
      }
    },
  );

  test.each([0, 1, 2])('search/compare compares all by metric %i, 32 and 16 bits', async (METRIC) => {
    const [slots, first, n, D, queries] = [170, 30, 140, 24, 37];
    const values = normals(n * D, 3).map(toFloat16);
    const asked = normals(queries * D, 4);
    const allowed = new Uint32Array(slots).fill(1);
    allowed[57] = 0;
    for (const half of [false, true]) {
      const { values: found } = await runKernel('search/compare', {
        constants: { HALF: Number(half), METRIC },
        params: {
          ...{ slots, firstSlot: first, partSlots: n, queries, vectors: half ? 3 : 6, tiles: 3 },
          rowScale: 1,
        },
        workgroups: 6,
        buffers: {
          rows: new Uint32Array((half ? encodeFloat16(values) : values).buffer as ArrayBuffer),
          ...{ queries: asked, allowed, values: new Float32Array(queries * slots).fill(9999) },
        },
      });
      for (let i = 0; i < queries * slots; i++) {
        const [q, slot] = [Math.floor(i / slots), i % slots];
        const x = values.subarray((slot - first) * D, (slot - first + 1) * D);
        const exact = slot < first ? 9999 : compared(METRIC, x, asked.subarray(q * D, (q + 1) * D));
        const expected = slot === 57 ? 3e38 : exact;
        const error = Math.abs((found[i] as number) - expected) / Math.max(1, Math.abs(expected));
        expect(error, `query ${q}, slot ${slot}`).toBeLessThan(2e-6);
      }
    }
  });

  test.each([
    ['at random', (x: number) => x],
    ['descending', (_: number, i: number, n: number) => (n - i) / 8],
    ['ascending', (_: number, i: number) => Math.floor(i / 3)],
    ['mostly not allowed', (x: number, i: number) => (i % 401 === 0 ? x : 3e38)],
  ])('search/topk keeps the smallest of values %s, of equals the lower slot', async (_name, make) => {
    const [width, segment, queries, segments] = [4500, 2560, 2, 2];
    const values = Float32Array.from(integers(width * queries, 200, 6), (x, i) =>
      x === 0 ? 3e38 : make(x / 8, i % width, width),
    );
    for (const k of [1, 12, 512]) {
      const { bestSlots, bestValues } = await runKernel('search/topk', {
        params: { width, pitch: width, listed: 0, k, segment, segments },
        workgroups: segments * queries,
        buffers: {
          values,
          lists: new Uint32Array(4),
          bestValues: new Float32Array(queries * segments * k),
          bestSlots: new Uint32Array(queries * segments * k),
        },
      });
      for (let group = 0; group < queries * segments; group++) {
        const first = (group % segments) * segment;
        const start = Math.floor(group / segments) * width;
        const expected = Array.from({ length: Math.min(segment, width - first) }, (_, i) => first + i)
          .filter((slot) => (values[start + slot] as number) < 3e38)
          .sort((a, b) => (values[start + a] as number) - (values[start + b] as number) || a - b)
          .slice(0, k);
        const padded = [...expected, ...Array(k - expected.length).fill(2 ** 32 - 1)];
        expect(Array.from(bestSlots.subarray(group * k, (group + 1) * k))).toEqual(padded);
        expect(Array.from(bestValues.subarray(group * k, (group + 1) * k))).toEqual(
          padded.map((slot) => values[start + slot] ?? Math.fround(3e38)),
        );
      }
    }
  });
});

describe.runIf(GPU)('indexes', () => {
  const D = 20;
  const rows = normals(2600 * D, 1, false);
  const queries = normals(30 * D, 2, false);
  const family = hyperplanes({ D, bits: 30, tables: 3 });

  test.each([
    ['BruteForceIndex', () => new BruteForceIndex({ D }), {}],
    [
      'BruteForceIndex, cosine, float16',
      () => new BruteForceIndex({ D, metric: 'cosine', storage: 'float16' }),
      {},
    ],
    ['BruteForceIndex, inner product', () => new BruteForceIndex({ D, metric: 'innerProduct' }), {}],
    ['BinaryIndex', () => new BinaryIndex({ D, family }), { maxCandidates: 80 }],
    [
      'BinaryIndex, cosine, float16',
      () => new BinaryIndex({ D, family, metric: 'cosine', storage: 'float16' }),
      {},
    ],
    ['LshIndex', () => new LshIndex({ D, family: hyperplanes({ D, bits: 8, tables: 4 }) }), { probes: 3 }],
  ] as const)('%s answers as on the CPU', async (_name, make, effort) => {
    const answers = async () => {
      const index = make();
      await index.build(rows.subarray(0, 2000 * D));
      const first = await index.query(queries, { ...effort, k: 5 });
      await index.add(rows.subarray(2000 * D));
      index.remove(integers(300, 2600, 3));
      const second = await index.query(queries, { ...effort, k: 7, filter: (id) => id % 3 > 0 });
      const file = index.save();
      await index.compact();
      const third = await index.query(queries.subarray(0, 3 * D), effort); // too few for tiles
      const counts = tf.memory().numTensors;
      await index.query(queries, effort);
      expect(tf.memory().numTensors, 'no tensor is left').toBe(counts);
      index.dispose();
      return { answers: [first, second, third], file };
    };
    const leaks = await onBackend('webgpu', async () => {
      const before = tf.memory().numTensors;
      const found = await answers();
      return { ...found, left: tf.memory().numTensors - before };
    });
    const expected = await onBackend('cpu', answers);
    expect(leaks.answers).toEqual(expected.answers);
    expect(leaks.left).toBe(0);
    const read = loadIndex(leaks.file);
    expect(read.save()).toEqual(expected.file);
  });
});
