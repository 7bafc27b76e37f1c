import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs's own ops
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, expect, test } from 'vitest';
import {
  denseAttention,
  denseAttentionWithLse,
  type LshAttentionOptions,
  LshCache,
  lshAttention,
  lshAttentionWithLse,
  lshBuckets,
  presets,
} from '../../src/index.js';

/** The composed path on another backend than the one that the other tests use. */

const B = 2;
const H = 2;
const D = 24;
const E = 8;

afterAll(() => tf.setBackend('cpu'));

async function on(backend: string, L: number, options: LshAttentionOptions, masked: boolean) {
  await tf.setBackend(backend);
  const wave = (count: number, step: number) =>
    Float32Array.from({ length: count }, (_, i) => 3 * Math.sin(step * (i + 1)));
  const qk = tf.tensor(wave(B * H * L * D, 12.9898), [B, H, L, D]);
  const v = tf.tensor(wave(B * H * L * E, 78.233), [B, H, L, E]);
  const padding = Array.from({ length: B * L }, (_, i) => i % 7 !== 0 && i < 1.5 * L);
  const mask = masked ? tf.tensor(padding, [B, L], 'bool') : undefined;
  const slope = tf.tensor(wave(B * H * L * E, 4.1414), [B, H, L, E]);
  const before = tf.memory().numTensors;
  const lsh = lshAttentionWithLse(qk, v, { ...options, mask });
  const buckets = lshBuckets(qk, { ...options, mask });
  const dense = denseAttentionWithLse(qk, v, { causal: options.causal ?? false, mask });
  const gradients = [
    (a: tf.Tensor, b: tf.Tensor) => lshAttention(a, b, { ...options, mask }),
    (a: tf.Tensor, b: tf.Tensor) => denseAttention(a, b, { causal: options.causal ?? false, mask }),
  ].flatMap((attend) => tf.grads((a, b) => tf.sum(tf.mul(attend(a, b), slope)))([qk, v]));
  expect(tf.memory().numTensors - before).toBe(9);
  const results = [lsh.out, lsh.lse, dense.out, dense.lse, buckets, ...gradients];
  return await Promise.all(results.map((tensor) => tensor.data()));
}

const CASES: [string, number, LshAttentionOptions, boolean][] = [
  ['causal, a short last chunk', 100, { chunkLength: 16, causal: true, numHashes: 3 }, false],
  ['reformer, padded', 96, { ...presets.reformer, chunkLength: 16, causal: true }, true],
  [
    'paper, factored, padded',
    77,
    { ...presets.paper, chunkLength: 8, numBuckets: [4, 8], chunksAfter: 1 },
    true,
  ],
  ['bucket window, dropout', 60, { window: 'bucket', numBuckets: 6, causal: true, dropout: 0.2 }, true],
  ['dropout', 60, { chunkLength: 16, duplicates: 'count', dropout: 0.2 }, false],
  ['by signs, padded', 50, { chunkLength: 16, numBuckets: [8, 150], rotation: 'hadamard' }, true],
];

test.each(CASES)('wasm gives what cpu gives: %s', async (_name, L, options, masked) => {
  const cpu = await on('cpu', L, options, masked);
  const wasm = await on('wasm', L, options, masked);
  for (const [k, values] of cpu.entries()) {
    const other = wasm[k] as ArrayLike<number>;
    const tolerance = k < 5 ? 3e-6 : 2e-5; // results, gradients
    expect(other.length).toBe(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      expect(Math.abs((other[i] as number) - value)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(value)));
    }
  }
});

test.each(['correct', 'count'] as const)('wasm decodes as cpu does: %s', async (duplicates) => {
  const decodeOn = async (backend: string) => {
    await tf.setBackend(backend);
    const wave = (first: number, shape: number[]) =>
      tf.reshape(
        tf.mul(tf.sin(tf.mul(tf.range(first, first + tf.util.sizeFromShape(shape)), 12.9898)), 3),
        shape,
      );
    const cache = new LshCache({ numBuckets: 2, numHashes: 2, duplicates });
    const results = tf.tidy(() => {
      const append = (n: number, T: number, options = {}) =>
        cache.append(wave(n, [B, H, T, D]), wave(2 * n, [B, H, T, E]), options);
      const mask = tf.tensor([1, 1, 0, 1, 1, 1, 0, 1, 1, 1], [B, 5], 'int32');
      const before = [append(1, 70), append(2, 5, { mask }), append(3, 1), append(4, 1)];
      cache.reorder([1, 1]);
      return [...before, append(5, 2), append(6, 1)];
    });
    const values = await Promise.all(results.map((tensor) => tensor.data()));
    tf.dispose(results);
    cache.dispose();
    return values.flatMap((part) => Array.from(part));
  };
  const cpu = await decodeOn('cpu');
  const wasm = await decodeOn('wasm');
  expect(wasm.length).toBe(cpu.length);
  const errors = cpu.map((value, i) => Math.abs(value - (wasm[i] as number)));
  expect(Math.max(...errors)).toBeLessThan(1e-5);
});
