import { describe, expect, test } from 'vitest';
import { predictCost } from '../../src/index.js';

const SHAPE = { B: 1, H: 8, D: 64, E: 64 };

describe.each(['webgpu', 'cpu'])('predicted cost on %s', (backend) => {
  const costAt = (L: number, options = {}) => predictCost({ ...SHAPE, L }, options, backend);

  test('dense attention is cheaper for short sequences, LSH for long ones, with one crossover', () => {
    const lengths = Array.from({ length: 14 }, (_, n) => 2 ** (n + 4));
    const cheaper = lengths.map((L) => costAt(L).cheaper);
    expect(cheaper[0]).toBe('dense');
    expect(cheaper.at(-1)).toBe('lsh');
    expect(cheaper.lastIndexOf('dense') + 1).toBe(cheaper.indexOf('lsh'));
  });

  test('dense grows with L², LSH with L as far as the hash does', () => {
    expect(costAt(2 ** 15).dense / costAt(2 ** 14).dense).toBe(4);
    const buckets = { numBuckets: [16, 16] };
    const growth = costAt(2 ** 15, buckets).lsh / costAt(2 ** 14, buckets).lsh;
    expect(growth).toBeGreaterThan(1.9);
    expect(growth).toBeLessThanOrEqual(2);
  });

  test('rounds cost, and so do longer chunks', () => {
    const cost = (options: object) => costAt(4096, options).lsh;
    expect(cost({ numHashes: 8 }) / cost({ numHashes: 4 })).toBeCloseTo(2, 5);
    expect(cost({ chunkLength: 128 })).toBeGreaterThan(1.5 * cost({}));
  });
});

test('kernels skip what causality excludes, tf ops do not', () => {
  const dense = (causal: boolean, backend: string) =>
    predictCost({ ...SHAPE, L: 512 }, { causal }, backend).dense;
  expect(dense(true, 'webgpu') / dense(false, 'webgpu')).toBe(0.5);
  expect(dense(true, 'cpu') / dense(false, 'cpu')).toBe(1);
});

test('what lshAttention refuses, it refuses', () => {
  expect(() => predictCost({ L: 16, D: 8 }, { numHashes: 0 })).toThrow(/numHashes/);
});
