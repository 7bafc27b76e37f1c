import { describe, expect, test } from 'vitest';
import { type OpPlan, plan } from '../../src/index.js';
import type { Pass } from '../../src/webgpu/kernels.js';
import { defaultBuckets } from '../oracle/defaultBuckets.js';

const LIMITS = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65535,
};

describe('plan', () => {
  test('a call of four rounds', () => {
    const { forward, backward, chunks, dispatches, settings } = plan({ B: 2, H: 8, L: 4096, D: 64, E: 32 });
    expect(chunks).toBe(64);
    expect(settings).toMatchObject({ R: 4, C: 64, P: 1, A: 0, N: 128, factors: [128], F: 64 });
    const passesOf = (op: OpPlan) => op.batches.flatMap(({ passes }) => passes.map(kernelAndSize));
    const kernelAndSize = ({ kernel, workgroups }: Pass) => [kernel, workgroups];
    const rows = 16;
    const sort = [
      ['sort/count', rows * 4 * 4],
      ['sort/scan', rows * 4],
      ['sort/place', rows * 4 * 4],
      ['attend/normalise', (rows * 4096) / 64],
    ];
    expect(forward.map(({ name }) => name)).toEqual(['LshBuckets', 'LshAttention']);
    expect(forward.flatMap(passesOf)).toEqual([
      ['hash/rotate', rows * 4 * 64],
      ...sort,
      ...[0, 1, 2, 3].map(() => ['attend/forward', rows * 128]),
    ]);
    expect(dispatches).toBe(9);
    expect(passesOf(backward)).toEqual([
      ...sort,
      ['attend/delta', (rows * 4096) / 64],
      ...[0, 1, 2, 3].flatMap(() => [
        ['attend/backward_query', rows * 128],
        ['attend/backward_key', rows * 128],
      ]),
    ]);
  });

  test('bytes', () => {
    const [B, H, L, D, E, R] = [2, 8, 4096, 64, 32, 4];
    const { bytes, forward, backward } = plan({ B, H, L, D, E });
    const scratch = forward[1]?.scratch ?? {};
    expect(bytes.inputs).toBe(B * H * L * (D + E) * 4);
    expect(bytes.outputs).toBe(B * H * L * (E + 1) * 4);
    expect(scratch.index).toBe(2 * B * H * R * L * 4); // tokens by slot, chunks by token
    expect(scratch.inverseNorms).toBe(B * H * L * 4);
    expect(scratch.counts).toBe(B * H * R * 4 * 129 * 4);
    const buckets = B * H * R * L * 4;
    const all = Object.values(scratch).reduce((sum, n) => sum + n, buckets);
    expect(bytes.scratch).toBeGreaterThanOrEqual(all);
    expect(backward.scratch).toEqual({ ...scratch, facts: B * H * L * 16 });
    expect(bytes.peak).toBe(bytes.inputs + bytes.outputs + bytes.scratch);
  });

  test('memory and operations are linear in the length', () => {
    const options = { numBuckets: 64 };
    const short = plan({ H: 8, L: 8192, D: 64 }, options, {
      ...LIMITS,
      maxStorageBufferBindingSize: 2 ** 31,
      maxBufferSize: 2 ** 31,
    });
    const long = plan({ H: 8, L: 65536, D: 64 }, options, {
      ...LIMITS,
      maxStorageBufferBindingSize: 2 ** 31,
      maxBufferSize: 2 ** 31,
    });
    expect(long.operations.total).toBe(8 * short.operations.total);
    expect(long.bytes.peak / short.bytes.peak).toBeCloseTo(8, 1);
  });

  test('given buckets need no hash, one round no chunks', () => {
    const kernelsOf = (options: Parameters<typeof plan>[1]) =>
      plan({ L: 100, D: 8 }, options).forward.flatMap(({ batches }) =>
        batches.flatMap(({ passes }) => passes.map(({ kernel }) => kernel)),
      );
    expect(kernelsOf({ numHashes: 2 })).toContain('hash/rotate');
    const indexOf = (options: Parameters<typeof plan>[1]) =>
      plan({ L: 100, D: 8 }, options).forward.at(-1)?.scratch.index;
    expect(indexOf({ numHashes: 2 })).toBe(2 * 2 * 100 * 4);
    expect(indexOf({ numHashes: 1 })).toBe(100 * 4);
    expect(indexOf({ numHashes: 2, duplicates: 'count' })).toBe(2 * 100 * 4);
    expect(indexOf({ numHashes: 2, window: 'bucket', numBuckets: 6 })).toBe(2 * (100 + 8) * 4);
  });

  test('rows go in batches where a binding is small, each row once', () => {
    const limits = { ...LIMITS, maxStorageBufferBindingSize: 2 ** 16 };
    const shape = { B: 3, H: 5, L: 100, D: 24, E: 17 };
    const { batches, scratch, dispatches } = plan(shape, { numHashes: 2 }, limits).forward[1] as OpPlan;
    expect(batches.length).toBeGreaterThan(1);
    let next = 0;
    for (const { firstRow, rows, parts } of batches) {
      expect(firstRow).toBe(next);
      next += rows;
      for (const [name, words] of [
        ['qk', 24],
        ['v', 20],
        ['out', 20], // whole vec4
        ['lse', 1],
      ] as const) {
        const bytes = 100 * words * 4;
        const { offset, size } = parts[name] ?? { offset: -1, size: -1 };
        expect(offset % 256, name).toBe(0);
        expect(offset, name).toBeLessThanOrEqual(firstRow * bytes);
        expect(offset, name).toBeGreaterThan(firstRow * bytes - 256);
        expect(offset + size, name).toBe((firstRow + rows) * bytes);
        expect(size, name).toBeLessThanOrEqual(2 ** 16);
      }
    }
    expect(next).toBe(15);
    expect(Math.max(...Object.values(scratch))).toBeLessThanOrEqual(2 ** 16);
    expect(dispatches).toBe(batches.reduce((sum, { passes }) => sum + passes.length, 0));
  });

  test('each batch begins its passes at its first row', () => {
    const limits = { ...LIMITS, maxStorageBufferBindingSize: 2 ** 16 };
    const { batches } = plan({ H: 11, L: 99, D: 24 }, {}, limits).forward[1] as OpPlan;
    for (const { firstRow, parts, passes } of batches) {
      const forward = passes.find(({ kernel }) => kernel === 'attend/forward');
      const { offset } = parts.qk ?? { offset: -1 };
      expect(offset + 4 * (forward?.params.qkStart as number)).toBe(firstRow * 99 * 24 * 4);
    }
  });

  test('what cannot fit is refused with a way out', () => {
    const limits = { ...LIMITS, maxStorageBufferBindingSize: 2 ** 16 };
    expect(() => plan({ H: 2, L: 4096, D: 64 }, { numBuckets: 4 }, limits)).toThrow(
      /one head's `qk` takes 1048576 bytes, more than the 65536 .* Use a shorter length/,
    );
    expect(() => plan({ L: 64, D: 64 }, { numBuckets: 512 }, limits)).toThrow(
      /`rotations` takes 262144 bytes, more than the 65536 .* Use factored buckets/,
    );
    try {
      plan({ H: 2, L: 4096, D: 64 }, { numBuckets: 4 }, limits);
    } catch (error) {
      expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
    }
  });

  test('prints itself', () => {
    const text = String(plan({ B: 2, H: 4, L: 1000, D: 64, E: 32 }, { numHashes: 2, numBuckets: [4, 8] }));
    expect(text).toContain('B=2 H=4 L=1000 D=64 E=32  R=2 N=4·8 C=64 P=1 A=0');
    expect(text).toContain('16 chunks');
    expect(text).toContain('LshAttention: 6 dispatches');
    for (const word of ['hash/rotate', 'attend/forward', 'backward_key', 'index', 'inverseNorms', 'peak']) {
      expect(text).toContain(word);
    }
    expect(text).not.toMatch(/undefined|NaN|Infinity/);
  });

  test('the empty call', () => {
    const { bytes, dispatches } = plan({ L: 0, D: 64 });
    expect(bytes.inputs).toBe(0);
    expect(Number.isFinite(bytes.peak)).toBe(true);
    expect(dispatches).toBe(0);
  });
});

describe('the default number of buckets', () => {
  test.each([
    [1, 64, [2]],
    [63, 64, [2]],
    [64, 64, [2]],
    [128, 64, [4]],
    [1000, 64, [16]],
    [4096, 64, [128]],
    [8192, 64, [16, 16]],
    [65536, 64, [32, 64]],
    [1024, 1, [32, 64]],
    [3, 1, [2, 2]],
  ] as const)('L=%i, C=%i: %o', (L, chunkLength, factors) => {
    expect(plan({ L, D: 8 }, { chunkLength }).settings.factors).toEqual(factors);
    expect(defaultBuckets(L, Math.min(L, chunkLength))).toEqual(factors);
  });

  test('agrees with the rule everywhere', () => {
    for (const chunkLength of [1, 2, 7, 16, 64, 100, 1024]) {
      for (let L = 1; L < 300_000; L = Math.ceil(L * 1.37)) {
        const expected = defaultBuckets(L, Math.min(L, chunkLength));
        const limits = { ...LIMITS, maxStorageBufferBindingSize: 2 ** 34, maxBufferSize: 2 ** 34 };
        expect(plan({ L, D: 1 }, { chunkLength }, limits).settings.factors, `L=${L}`).toEqual(expected);
      }
    }
  });
});
