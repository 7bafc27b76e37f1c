import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import {
  denseAttention,
  type LshAttentionOptions,
  lshAttention,
  lshAttentionWithLse,
  lshBuckets,
  plan,
} from '../../src/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { BACKENDS, call, callGradient, onBackend } from '../call.js';
import { normals, qkv } from '../inputs.js';
import { pretend, pretendNothing } from './limits.js';

const SHAPE = { B: 2, H: 3, L: 50, D: 24, E: 40 };
const OPTIONS = { chunkLength: 16 };

/** What is called fifty times: small, for time. */
const SMALL = { B: 1, H: 2, L: 20, D: 24, E: 40 };
const SMALL_OPTIONS = { chunkLength: 16, numHashes: 2 };

interface Memory {
  readonly numTensors: number;
  readonly numDataBuffers: number;
  readonly numDataIds: number;
  readonly numBytesInGPU: number | undefined;
}

function memory(): Memory {
  const { numTensors, numDataBuffers, ...rest } = tf.memory();
  return {
    numTensors,
    numDataBuffers,
    numDataIds: tf.backend().numDataIds(),
    numBytesInGPU: (rest as { numBytesInGPU?: number }).numBytesInGPU,
  };
}

const CALLS: Record<string, (qk: tf.Tensor, v: tf.Tensor, mask: tf.Tensor) => tf.TensorContainer> = {
  lshAttention: (qk, v) => lshAttention(qk, v, SMALL_OPTIONS),
  'lshAttention with a mask': (qk, v, mask) => lshAttention(qk, v, { ...SMALL_OPTIONS, mask }),
  lshAttentionWithLse: (qk, v) => ({ ...lshAttentionWithLse(qk, v, SMALL_OPTIONS) }),
  lshBuckets: (qk) => lshBuckets(qk, SMALL_OPTIONS),
  'lshBuckets by signs': (qk) => lshBuckets(qk, { ...SMALL_OPTIONS, rotation: 'hadamard' }),
  denseAttention: (qk, v) => denseAttention(qk, v, {}),
  'lshAttention with buckets': (qk, v, mask) => {
    const buckets = lshBuckets(qk, SMALL_OPTIONS);
    const out = lshAttention(qk, v, { ...SMALL_OPTIONS, mask, buckets });
    buckets.dispose();
    return out;
  },
  'lshAttention of cast integers': (qk, v) => {
    const integers = tf.cast(qk, 'int32');
    const floats = tf.cast(integers, 'float32');
    const out = lshAttention(floats, v, SMALL_OPTIONS);
    tf.dispose([integers, floats]);
    return out;
  },
};

/** Calls that throw: before any work, and on the device. */
const FAILURES: Record<string, LshAttentionOptions> = {
  'an option': { numHashes: 0 },
  'an option that a later check finds': { scale: Number.NaN },
};

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(Object.keys(CALLS))('fifty calls of %s leave nothing', async (name) => {
    await onBackend(backend, async () => {
      const { B, H, L, D, E } = SMALL;
      const inputs = qkv(SMALL, 1);
      const qk = tf.tensor(inputs.qk, [B, H, L, D]);
      const v = tf.tensor(inputs.v, [B, H, L, E]);
      const mask = tf.tensor(
        Array.from({ length: B * L }, (_, i) => Number(i % 7 > 0)),
        [B, L],
        'int32',
      );
      const once = async () => {
        const result = CALLS[name]?.(qk, v, mask) as tf.TensorContainer;
        const tensors = result instanceof tf.Tensor ? [result] : Object.values(result as tf.NamedTensorMap);
        expect(tensors.length).toBe(name === 'lshAttentionWithLse' ? 2 : 1);
        const mine = tf.memory().numTensors;
        await tensors[0]?.data();
        expect(tf.memory().numTensors).toBe(mine);
        tf.dispose(result);
      };
      await once(); // uploads the inputs and fills the pool
      await once();
      const before = memory();
      for (let i = 0; i < 50; i++) {
        await once();
      }
      expect(memory()).toEqual(before);
      expect([qk, v, mask].some((tensor) => tensor.isDisposed)).toBe(false);
      tf.dispose([qk, v, mask]);
    });
  });

  test.each(Object.keys(FAILURES))('a call that fails on %s leaves nothing', async (name) => {
    await onBackend(backend, async () => {
      const x = tf.ones([2, 8, 4]);
      const before = memory();
      for (const attend of [lshAttention, lshAttentionWithLse]) {
        expect(() => attend(x, x, FAILURES[name])).toThrow();
      }
      expect(() => lshBuckets(x, FAILURES[name])).toThrow();
      expect(memory()).toEqual(before);
      x.dispose();
    });
  });

  test('inside tf.tidy all but the result goes', async () => {
    await onBackend(backend, async () => {
      const x = tf.ones([2, 8, 4]);
      const before = tf.memory().numTensors;
      const out = tf.tidy(() => {
        lshAttention(x, x);
        return lshAttention(x, x);
      });
      expect(tf.memory().numTensors).toBe(before + 1);
      tf.dispose([out, x]);
    });
  });
});

describe('a device of small limits', () => {
  afterEach(pretendNothing);

  const test1 = { shape: SHAPE, ...qkv(SHAPE, 2), options: OPTIONS };
  const mask = Int32Array.from({ length: SHAPE.B * SHAPE.L }, (_, i) => Number(i % 7 > 0));
  const rotations = normals(3 * SHAPE.D * 4 * 3, 5);
  const variants = {
    plain: test1,
    masked: { ...test1, mask },
    'causal, over the boundary': {
      ...test1,
      options: { chunkLength: 10, causal: true, duplicates: 'count', roundBoundary: 'wrap' } as const,
    },
    'by signs': { ...test1, mask, options: { ...OPTIONS, rotation: 'hadamard' } as const },
    // A dropped pair is known by its batch row and head, whichever batch of rows it goes with.
    'dropout, by buckets': {
      ...test1,
      mask,
      options: { chunkLength: 10, window: 'bucket', causal: true, dropout: 0.3, seed: 2 } as const,
    },
    'given rotations': { ...test1, rotations, mask, options: { ...OPTIONS, numBuckets: [4, 2] } },
  };

  test.each(Object.keys(variants) as (keyof typeof variants)[])('batches of rows: %s', async (name) => {
    const variant = variants[name];
    const whole = await call('webgpu', variant);
    const again = await call('webgpu', { ...variant, buckets: whole.buckets });
    for (const rows of [1, 2, 4]) {
      // v, the largest per row, decides; a binding may begin 252 bytes early.
      const limit = rows * SHAPE.L * SHAPE.E * 4 + 256;
      const { forward } = plan(SHAPE, variant.options, {
        maxStorageBufferBindingSize: limit,
        maxBufferSize: 2 ** 28,
        maxComputeWorkgroupsPerDimension: 65535,
      });
      expect(forward.at(-1)?.batches.length).toBe(Math.ceil(6 / rows));
      pretend({ maxStorageBufferBindingSize: limit });
      expect(await call('webgpu', variant)).toEqual(whole);
      const explicit = await call('webgpu', { ...variant, buckets: whole.buckets });
      expect(explicit).toEqual(again);
      pretend({});
    }
  });

  test.each(Object.keys(variants) as (keyof typeof variants)[])('gradients in batches: %s', async (name) => {
    const dOut = normals(6 * SHAPE.L * SHAPE.E, 3);
    const dLse = normals(6 * SHAPE.L, 4);
    const whole = await callGradient('webgpu', variants[name], dOut, dLse);
    for (const rows of [1, 2, 4]) {
      pretend({ maxStorageBufferBindingSize: rows * SHAPE.L * SHAPE.E * 4 + 256 });
      expect(await callGradient('webgpu', variants[name], dOut, dLse)).toEqual(whole);
      pretend({});
    }
  });

  test('workgroups in two dimensions', async () => {
    const whole = await call('webgpu', variants.masked);
    const dOut = normals(6 * SHAPE.L * SHAPE.E, 3);
    const gradients = await callGradient('webgpu', variants.masked, dOut);
    for (const limit of [1, 7]) {
      pretend({ maxComputeWorkgroupsPerDimension: limit });
      expect(await call('webgpu', variants.masked)).toEqual(whole);
    }
    // tfjs's own programs obey the limit too, and fail at 1.
    expect(await callGradient('webgpu', variants.masked, dOut)).toEqual(gradients);
  });

  test('a row that does not fit is refused, and leaves nothing', async () => {
    const { L, D } = SHAPE;
    const qk = tf.tensor(normals(2 * L * D, 1), [2, L, D]);
    (await lshAttention(qk, qk).data()).slice();
    pretend({ maxStorageBufferBindingSize: L * D * 4 });
    const before = memory();
    expect(() => lshAttention(qk, qk)).toThrow(/one head's `qk` takes 4800 bytes/);
    expect(() => lshBuckets(qk)).toThrow(/one head's `qk` takes 4800 bytes/);
    expect(memory()).toEqual(before);
    qk.dispose();
  });

  test('a device that fails in the middle leaves nothing', async () => {
    const { L, D } = SHAPE;
    const qk = tf.tensor(normals(2 * L * D, 1), [2, L, D]);
    await lshAttention(qk, qk).data();
    const before = memory();
    const device = currentDevice();
    const { bufferManager } = tf.backend() as unknown as { bufferManager: { numUsedBuffers: number } };
    const used = bufferManager.numUsedBuffers;
    const { createBindGroup } = device;
    let groups = 0;
    device.createBindGroup = (descriptor) => {
      groups++;
      if (groups === 3) {
        throw new Error('no more groups');
      }
      return createBindGroup.call(device, descriptor);
    };
    try {
      expect(() => lshAttention(qk, qk)).toThrow('no more groups');
    } finally {
      Reflect.deleteProperty(device, 'createBindGroup');
    }
    expect(memory()).toEqual(before);
    expect(bufferManager.numUsedBuffers).toBe(used);
    qk.dispose();
  });
});
