import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { lshAttention, plan } from '../../src/index.js';
import { BruteForceIndex } from '../../src/search/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { measureCeilings } from '../../src/webgpu/ceilings.js';
import { profile } from '../../src/webgpu/profile.js';
import { traitsOf } from '../../src/webgpu/traits.js';
import { onBackend } from '../call.js';

const SHAPE = { B: 1, H: 2, L: 200, D: 32, E: 32 };
const OPTIONS = { numHashes: 2, chunkLength: 32 };

test('a profile has the passes of the plan, with its counts, and the result', async () => {
  const qk = tf.randomNormal([SHAPE.B, SHAPE.H, SHAPE.L, SHAPE.D], 0, 1, 'float32', 1);
  const expected = lshAttention(qk, qk, OPTIONS);
  const found = await profile(() => lshAttention(qk, qk, OPTIONS), { ceilings: true });
  const passes = plan(SHAPE, OPTIONS, traitsOf(currentDevice())).forward.flatMap(({ batches }) =>
    batches.flatMap((batch) => batch.passes),
  );
  expect(found.passes.map(({ kernel }) => kernel)).toEqual(passes.map(({ kernel }) => kernel));
  expect(found.passes.map(({ operations }) => operations)).toEqual(passes.map((pass) => pass.operations));
  expect(found.passes.map(({ bytes }) => bytes)).toEqual(passes.map((pass) => pass.bytes));
  expect(found.passes.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
  expect(found.milliseconds).toBeGreaterThan(0);
  expect(found.kernels.every(({ share = -1 }) => share >= 0)).toBe(true);
  expect(String(found)).toMatch(/attend\/forward.*\n[\s\S]*ceilings: \d/);
  expect(await found.result.data()).toEqual(await expected.data());
  tf.dispose([qk, expected, found.result]);
});

test('a profile waits for a promise, and takes nothing that comes after', async () => {
  const index = new BruteForceIndex({ D: 8 });
  await index.build(new Float32Array(800).map((_, i) => Math.sin(i)));
  const query = (n: number) => index.query(new Float32Array(n * 8).fill(1), { k: 3 });
  const expected = await query(9);
  const [many, few] = await Promise.all([profile(() => query(9)), profile(() => query(1))]);
  expect(many.result).toEqual(expected);
  expect(few.result.ids).toEqual(expected.ids.subarray(0, 3));
  const names = [...many.passes, ...few.passes].map(({ kernel }) => kernel).sort();
  expect(names).toEqual(['search/compare', 'search/rerank', 'search/topk', 'search/topk']);
  await expect(profile(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  await query(9);
  expect((await profile(() => 0)).passes).toEqual([]);
});

describe('ceilings', () => {
  test('are measured once a device, and leave nothing', async () => {
    const before = tf.memory();
    const { gflops, gbps } = await measureCeilings();
    expect(gflops).toBeGreaterThan(0.05);
    expect(gbps).toBeGreaterThan(0.01);
    expect(gflops).toBeLessThan(1e6);
    expect(await measureCeilings()).toEqual({ gflops, gbps });
    expect(tf.memory()).toEqual(before);
  });

  test('are of the webgpu backend only', async () => {
    await onBackend('cpu', async () => {
      expect(() => measureCeilings()).toThrow(/setBackend\('webgpu'\)/);
      await expect(profile(() => 0)).rejects.toThrow(/useOwnDevice/);
    });
  });
});
