/**
 * The op in a real browser, through tfjs's own WebGPU backend. What it computes is checked in depth in
 * Node; here, that it computes the same where people use it.
 */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgl';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, test } from 'vitest';
import { denseAttention, LshCache, lshAttentionWithLse, lshBuckets, presets } from '../../src/index.js';

const B = 2;
const H = 2;
const L = 200;
const D = 24;
const E = 40;

beforeEach(async () => {
  expect(navigator.gpu, 'navigator.gpu').toBeDefined();
  expect(await tf.setBackend('webgpu')).toBe(true);
  tf.env().set('WEBGPU_CPU_FORWARD', false);
});

function inputs(length = L) {
  const values = (count: number, step: number) =>
    Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(step * (i + 1)));
  return {
    qk: tf.tensor4d(values(B * H * length * D, 12.9898), [B, H, length, D]),
    v: tf.tensor4d(values(B * H * length * E, 78.233), [B, H, length, E]),
  };
}

async function on(backend: string, options: object, length?: number) {
  expect(await tf.setBackend(backend), backend).toBe(true);
  const { qk, v } = inputs(length);
  const { out, lse } = lshAttentionWithLse(qk, v, options);
  const buckets = lshBuckets(qk, options);
  const values = { out: await out.data(), lse: await lse.data(), buckets: await buckets.data() };
  tf.dispose([qk, v, out, lse, buckets]);
  await tf.setBackend('webgpu');
  return values;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

describe('lshAttention in the browser', () => {
  test.each([
    ['defaults', { chunkLength: 16 }, L],
    ['causal', { chunkLength: 16, causal: true, numHashes: 3 }, L],
    ['paper', { ...presets.paper, chunkLength: 32 }, L],
    ['by signs', { chunkLength: 16, rotation: 'hadamard' }, L],
    ['reformer', { ...presets.reformer, chunkLength: 16, causal: true }, 192],
  ])('%s: WebGPU gives what the cpu backend gives', async (_name, options, length) => {
    const gpu = await on('webgpu', options, length);
    const cpu = await on('cpu', options, length);
    expect(largestDifference(gpu.buckets, cpu.buckets)).toBe(0);
    expect(largestDifference(gpu.out, cpu.out)).toBeLessThan(1e-5);
    expect(largestDifference(gpu.lse, cpu.lse)).toBeLessThan(1e-5);
  });

  test.each(['gaussian', 'hadamard'])('WebGL gives what cpu gives, from tf ops: %s', async (rotation) => {
    const options = { chunkLength: 16, causal: true, numHashes: 2, rotation };
    const webgl = await on('webgl', options);
    const cpu = await on('cpu', options);
    expect(largestDifference(webgl.buckets, cpu.buckets)).toBe(0);
    expect(largestDifference(webgl.out, cpu.out)).toBeLessThan(1e-4);
    expect(largestDifference(webgl.lse, cpu.lse)).toBeLessThan(1e-4);
  });

  test('one chunk for all is dense attention', async () => {
    const { qk, v } = inputs();
    const { out } = lshAttentionWithLse(qk, v, { chunkLength: L, causal: true });
    const dense = denseAttention(qk, v, { causal: true });
    expect(largestDifference(await out.data(), await dense.data())).toBeLessThan(1e-5);
  });

  test.each(['webgpu', 'webgl'])('%s decodes token by token what the forward pass gives', async (backend) => {
    const options = { numBuckets: 8, numHashes: 2 };
    const forward = await on('cpu', { ...options, window: 'bucket', causal: true }, 80);
    expect(await tf.setBackend(backend)).toBe(true);
    const { qk, v } = inputs(80);
    const cache = new LshCache(options);
    const parts = [70, 1, 1, 8].map((T) =>
      tf.tidy(() => {
        const first = [0, 0, cache.length, 0];
        return cache.append(tf.slice(qk, first, [B, H, T, D]), tf.slice(v, first, [B, H, T, E]));
      }),
    );
    const out = tf.concat(parts, 2);
    expect(largestDifference(await out.data(), forward.out)).toBeLessThan(1e-4);
    tf.dispose([qk, v, out, parts]);
    cache.dispose();
    await tf.setBackend('webgpu');
  });

  test('50 calls leave nothing behind', async () => {
    const { qk, v } = inputs();
    const call = () =>
      tf.dispose([lshAttentionWithLse(qk, v), lshBuckets(qk)] as unknown as tf.TensorContainer);
    call();
    const before = tf.memory() as tf.MemoryInfo & { numBytesInGPU: number };
    for (let i = 0; i < 50; i++) {
      call();
    }
    const { numTensors, numDataBuffers, numBytesInGPU } = tf.memory() as typeof before;
    expect({ numTensors, numDataBuffers, numBytesInGPU }).toEqual({
      numTensors: before.numTensors,
      numDataBuffers: before.numDataBuffers,
      numBytesInGPU: before.numBytesInGPU,
    });
  });
});
