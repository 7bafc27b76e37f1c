/** Vectors of numbers from 1e-18 to 1e18, and denormal ones: all neighbours are found, nearest first, at finite distances. */

import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  type Metric,
} from '../../src/search/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { normals, uniform } from '../inputs.js';
import { at, type Numbers } from '../oracle/shape.js';

const [D, N, QUERIES, K] = [256, 300, 6, 5];

function scaled(n: number, seed: number, scale: (i: number) => number): Float32Array {
  return normals(n * D, seed).map((x, i) => x * scale(i));
}

/** Rows and queries by what is awkward of them. */
function vectorsOf(kind: string): { readonly rows: Float32Array; readonly queries: Float32Array } {
  const random = uniform(7);
  const magnitudes = Array.from({ length: N }, () => 10 ** (36 * random() - 18));
  const both = (scale: number, queryScale = scale) => ({
    rows: scaled(N, 1, () => scale),
    queries: scaled(QUERIES, 2, () => queryScale),
  });
  switch (kind) {
    case 'huge':
      return both(1e18);
    case 'tiny':
      return both(1e-18);
    case 'denormal':
      return both(1e-40);
    case 'huge queries of tiny rows':
      return both(1e-18, 1e18);
    case 'tiny queries of huge rows':
      return both(1e18, 1e-18);
    case 'all equal and huge':
      return { rows: new Float32Array(N * D).fill(1e18), queries: new Float32Array(QUERIES * D).fill(1e18) };
    case 'one huge among tiny':
      return {
        rows: scaled(N, 1, (i) => (i === 43 ? 1e18 : 1e-18)),
        queries: scaled(QUERIES, 2, () => 1e-18),
      };
    default:
      return {
        rows: scaled(N, 1, (i) => at(magnitudes, Math.floor(i / D))),
        queries: scaled(QUERIES, 2, (i) => at(magnitudes, i % N)),
      };
  }
}
const KINDS = [
  'huge',
  'tiny',
  'denormal',
  'huge queries of tiny rows',
  'tiny queries of huge rows',
  'all equal and huge',
  'one huge among tiny',
  'of any size',
];

function products(
  x: Numbers,
  i: number,
  y: Numbers,
  j: number,
  of: (a: number, b: number) => number,
): number {
  let sum = 0;
  for (let d = 0; d < D; d++) {
    sum += of(at(x, i * D + d), at(y, j * D + d));
  }
  return sum;
}

/** The distance in double precision, and how much of it float32 cannot tell. */
function exactly(metric: Metric, rows: Numbers, i: number, queries: Numbers, q: number) {
  const product = products(rows, i, queries, q, (a, b) => a * b);
  const lengths = Math.sqrt(
    products(rows, i, rows, i, (a) => a * a) * products(queries, q, queries, q, (a) => a * a),
  );
  switch (metric) {
    case 'euclidean': {
      const distance = Math.sqrt(products(rows, i, queries, q, (a, b) => (a - b) ** 2));
      return { distance, unclear: 1e-6 * distance };
    }
    case 'cosine':
      return { distance: lengths === 0 ? 1 : 1 - product / lengths, unclear: 1e-6 };
    case 'innerProduct':
      return { distance: -product, unclear: 1e-6 * lengths };
  }
}

const family = hyperplanes({ D, bits: 24, tables: 2 });
const INDEXES = {
  BruteForceIndex: { make: (metric: Metric) => new BruteForceIndex({ D, metric }), effort: {} },
  BinaryIndex: {
    make: (metric: Metric) => new BinaryIndex({ D, family, metric }),
    effort: { maxCandidates: N },
  },
  LshIndex: {
    make: (metric: Metric) => new LshIndex({ D, family: hyperplanes({ D, bits: 5, tables: 2 }), metric }),
    effort: { hammingRadius: 5 },
  },
};

describe.each(BACKENDS)('on %s', (backend) => {
  describe.each(KINDS)('%s', (kind) => {
    const { rows, queries } = vectorsOf(kind);

    test.each(
      Object.keys(INDEXES).flatMap((name) =>
        (['euclidean', 'cosine', 'innerProduct'] as const)
          .filter((metric) => metric !== 'innerProduct' || name === 'BruteForceIndex')
          .map((metric) => [name, metric] as const),
      ),
    )('%s, %s', async (name, metric) => {
      const { make, effort } = INDEXES[name as keyof typeof INDEXES];
      await onBackend(backend, async () => {
        const index = make(metric);
        await index.build(rows);
        const { ids, distances, complete } = await index.query(queries, { k: K, ...effort });
        expect(complete, 'k neighbours of each query').toBe(true);
        for (let q = 0; q < QUERIES; q++) {
          const all = Array.from({ length: N }, (_, i) => exactly(metric, rows, i, queries, q));
          const sorted = all.map(({ distance }) => distance).sort((a, b) => a - b);
          for (let i = 0; i < K; i++) {
            const { distance, unclear } = all[at(ids, q * K + i)] as (typeof all)[number];
            const found = at(distances, q * K + i);
            expect(Math.abs(found - distance), 'the distance').toBeLessThanOrEqual(
              1e-12 * Math.abs(distance),
            );
            expect(Number.isFinite(found)).toBe(true);
            if (kind !== 'denormal') {
              expect(found - at(sorted, i), 'beyond the nearest').toBeLessThanOrEqual(2 * unclear);
            }
          }
        }
        index.dispose();
      });
    });

    test('codes are those of the CPU but for near ties', async () => {
      for (const family of [
        hyperplanes({ D, bits: 16, tables: 2 }),
        hyperplanes({ D, bits: 8, tables: 2, rotation: 'hadamard' }),
        crossPolytope({ D, numBuckets: 16, tables: 2 }),
        crossPolytope({ D, numBuckets: 16, tables: 2, rotation: 'hadamard' }),
      ]) {
        const codes = await onBackend(backend, async () =>
          tf.tidy(() => family.hashTensor(tf.tensor(rows, [N, D]))).data(),
        );
        const inRange = Array.from(codes).every((code) => code >= 0 && code < family.N);
        expect(inRange, 'codes of the family').toBe(true);
        const different = family.hash(rows).filter((code, i) => code !== codes[i]).length;
        if (kind !== 'denormal') {
          expect(different, JSON.stringify(family.config)).toBeLessThanOrEqual(1);
        }
      }
    });
  });
});
