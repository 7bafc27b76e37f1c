import { describe, expect, test } from 'vitest';
import { countsOf } from '../../src/attention/counts.js';
import { minHashProgram } from '../../src/hashing/minhash/webgpu.js';
import { type OpPlan, plan } from '../../src/index.js';
import { shareOfCeiling } from '../../src/webgpu/ceilings.js';
import { kernelTimes, profileTable } from '../../src/webgpu/profileTable.js';
import type { Program } from '../../src/webgpu/program.js';
import { KERNEL_NAMES } from '../kernels.js';

const passesOf = (ops: readonly Pick<Program, 'batches'>[]) =>
  ops.flatMap(({ batches }) => batches.flatMap(({ passes }) => passes));
const sum = (ops: readonly OpPlan[], what: 'operations' | 'bytes', kernels = /./) =>
  passesOf(ops)
    .filter(({ kernel }) => kernels.test(kernel))
    .reduce((total, pass) => total + (pass[what] ?? 0), 0);

describe('counted work', () => {
  const SHAPE = { B: 1, H: 8, L: 4096, D: 64, E: 64 };
  const CALLS = [
    plan(SHAPE, { numHashes: 4, chunkLength: 64 }),
    plan({ ...SHAPE, E: 32 }, { numHashes: 2, chunksAfter: 1, numBuckets: [8, 16], causal: true }),
    plan(SHAPE, { window: 'bucket', rotation: 'hadamard' }),
    // More rows than a binding holds go in batches.
    plan({ ...SHAPE, L: 65536 }, {}),
  ];

  test.each(CALLS.map((call, n) => ({ call, n })))('of the passes is that of the plan: $n', ({ call }) => {
    const { operations, forward, backward } = call;
    expect(sum(forward, 'operations', /hash/)).toBeCloseTo(operations.hash, -3);
    expect(sum(forward, 'operations', /attend.forward/)).toBeCloseTo(operations.attend, -3);
    const passes = passesOf([backward]).map(({ kernel }) => kernel);
    expect(passes.some((kernel) => kernel.startsWith('attend/backward'))).toBe(true);
    expect(sum([backward], 'operations', /backward/)).toBeGreaterThanOrEqual(2.4 * operations.attend);
  });

  test('of the attention follows its formula', () => {
    // 4·H·L·R·(1+P+A)·C·D
    const [call] = CALLS as [(typeof CALLS)[0]];
    expect(sum(call.forward, 'operations', /attend.forward/)).toBe(4 * 8 * 4096 * 4 * 2 * 64 * 64);
    // 4·H·L²·D, half of it when causal
    const dense = (causal: boolean) => countsOf('dense/forward_subgroup', SHAPE, { causal }, 8, 1).operations;
    expect(dense(false)).toBe(4 * 8 * 4096 ** 2 * 64);
    expect(dense(true)).toBe(dense(false) / 2);
  });

  test('moves every tensor once at least', () => {
    const { forward, bytes } = CALLS[0] as (typeof CALLS)[0];
    expect(sum(forward, 'bytes', /attend.forward/)).toBeGreaterThan(bytes.inputs + bytes.outputs);
    expect(sum(forward, 'bytes', /attend.forward/)).toBeLessThan(4 * 1.1 * (bytes.inputs + bytes.outputs));
  });

  test('is there for every kernel of a call, in any variant', () => {
    const { F, R, N } = { F: 16, R: 2, N: 8 };
    const [minHash] = passesOf([minHashProgram(3, 100, { k: 64, scheme: 'fmix32' })]);
    for (const kernel of KERNEL_NAMES.filter((name) => /^(hash|sort|attend|dense)\//.test(name))) {
      const { bytes = 0 } =
        kernel === minHash?.kernel
          ? minHash
          : countsOf(kernel, SHAPE, { F, R, N, C: 64, P: 1, A: 0, rotationHeads: 8 }, 8, 1);
      expect(bytes, kernel).toBeGreaterThan(0);
    }
  });

  test('of signatures is that of every word under every function', () => {
    const [pass] = passesOf([minHashProgram(3, 100, { k: 64, scheme: 'fmix32' })]);
    expect(pass?.operations).toBe(100 * 64 * 10);
    expect(pass?.bytes).toBe(4 * (100 + 4 + 4 * 64 + 3 * 64));
  });
});

describe('a profile', () => {
  const passes = [
    { kernel: 'attend/forward', milliseconds: 2, operations: 4e6, bytes: 1e6 },
    { kernel: 'sort/place', milliseconds: 1, operations: 0, bytes: 3e6 },
    { kernel: 'attend/forward', milliseconds: 3, operations: 6e6, bytes: 1e6 },
  ] as const;
  const ceilings = { gflops: 10, gbps: 4 };

  test('adds up the dispatches of a kernel, the slowest first', () => {
    const [first, second] = kernelTimes(passes, ceilings);
    expect(first).toMatchObject({
      kernel: 'attend/forward',
      dispatches: 2,
      milliseconds: 5,
      operations: 1e7,
      bytes: 2e6,
    });
    expect(first?.gflops).toBeCloseTo(2);
    expect(first).toMatchObject({ bound: 'arithmetic' });
    expect(first?.share).toBeCloseTo(0.2);
    expect(second).toMatchObject({ kernel: 'sort/place', dispatches: 1, bound: 'memory' });
    expect(second?.share).toBeCloseTo(0.75);
  });

  test('has no shares without ceilings', () => {
    expect(kernelTimes(passes).every((kernel) => !('share' in kernel))).toBe(true);
  });

  test('says which ceiling binds', () => {
    const work = { milliseconds: 1, operations: 5e6, bytes: 1e6 };
    expect(shareOfCeiling(work, ceilings)).toEqual({ bound: 'arithmetic', share: 0.5 });
    expect(shareOfCeiling({ ...work, bytes: 4e6 }, ceilings)).toEqual({ bound: 'memory', share: 1 });
  });

  test('is a table for people', () => {
    const table = profileTable({ kernels: kernelTimes(passes, ceilings), milliseconds: 6, ceilings });
    expect(table.split('\n')).toEqual([
      'kernel          dispatches    ms    time  GFLOP/s  GB/s               ceiling',
      'attend/forward           2  5.00  83.3 %     2.00  0.40  20.0 % of arithmetic',
      'sort/place               1  1.00  16.7 %           3.00      75.0 % of memory',
      'all                      3  6.00',
      'ceilings: 10.0 GFLOP/s, 4.00 GB/s',
    ]);
  });
});
