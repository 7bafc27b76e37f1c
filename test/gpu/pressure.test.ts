/** Little memory: calls that get none leave none behind, shapes that change do not pile up, and small bindings split the work. */
import '@tensorflow/tfjs-layers';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import {
  denseAttention,
  LshCache,
  lshAttention,
  lshBuckets,
  plan,
  scaledDotProductAttention,
} from '../../src/index.js';
import { BinaryIndex, BruteForceIndex } from '../../src/search/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { type BufferPool, emptyPool } from '../../src/webgpu/pool.js';
import { DEFAULT_TRAITS } from '../../src/webgpu/traits.js';
import { largestError } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers, normals, uniform } from '../inputs.js';
import { freshBackend } from './freshBackend.js';
import { pretend, pretendNothing } from './limits.js';

/** Calls of random shapes; 1,000 by LSH_SHAPES. */
const SHAPES = Number(process.env.LSH_SHAPES ?? 120);
/** LSH_LONG=1 attends over 1,048,576 tokens, which takes a software adapter minutes. */
const LONG = process.env.LSH_LONG === '1';
if (!LONG) {
  console.info('skipped: 1,048,576 tokens take a software adapter minutes. LSH_LONG=1 runs them.');
}

const pool = () =>
  (tf.backend() as WebGPUBackend).bufferManager as unknown as BufferPool & { numUsedBuffers: number };

/** tfjs has submitted what it had recorded, and given back what that needed. */
async function flushed(): Promise<void> {
  const sum = tf.add(1, 1);
  await sum.data();
  sum.dispose();
}

/** What there is of tensors and buffers. */
function taken() {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  const { numUsedBuffers, numBytesUsed } = pool();
  return { numTensors, numDataBuffers, numBytes, numUsedBuffers, numBytesUsed };
}

describe.runIf(BACKENDS.includes('webgpu'))('little memory', () => {
  afterEach(pretendNothing);

  const OPTIONS = { chunkLength: 16, numHashes: 2 };
  type Attend = (x: tf.Tensor) => tf.TensorContainer;
  const calls: Record<string, Attend> = {
    lshAttention: (x) => lshAttention(x, x, OPTIONS),
    lshBuckets: (x) => lshBuckets(x, OPTIONS),
    'a gradient of lshAttention': (x) => tf.grad((y) => tf.sum(lshAttention(y, y, OPTIONS)))(x),
    denseAttention: (x) => denseAttention(x, x),
    'a gradient of scaledDotProductAttention': (x) =>
      tf.grad((y) => tf.sum(scaledDotProductAttention(y, y, y)))(x),
  };

  // tfjs itself keeps what it has saved for a gradient that fails, and the outputs of its own operations that fail.
  test.each(Object.keys(calls))('%s fails at any buffer, and leaves nothing', async (name) => {
    await onBackend('webgpu', async () => {
      const device = currentDevice();
      const { createBuffer } = device;
      let made = 0;
      let most = Number.POSITIVE_INFINITY;
      let ours = 0;
      device.createBuffer = (descriptor) => {
        made++;
        if (made > most) {
          throw new RangeError('out of memory');
        }
        return createBuffer.call(device, descriptor);
      };
      try {
        // A length of its own each time: nothing of the call is kept from another.
        for (let round = 1; ; round++) {
          most = Number.POSITIVE_INFINITY;
          const x = tf.tensor(normals(2 * (40 + round) * 8, round), [2, 40 + round, 8]);
          tf.mul(x, 1).dispose(); // uploaded
          await flushed();
          emptyPool(pool()); // so that every buffer has to be made
          const before = taken();
          made = 0;
          most = round - 1;
          let message = '';
          try {
            tf.dispose(tf.tidy(() => calls[name]?.(x)));
          } catch (error) {
            message = (error as Error).message;
          }
          most = Number.POSITIVE_INFINITY;
          await flushed();
          const ofUs = /^\w+: the device did not take the work: .*tf\.memory/.test(message);
          if (message === '' || (ofUs && !name.startsWith('a gradient'))) {
            expect(taken(), `after failing at buffer ${round}: ${message}`).toEqual(before);
          }
          x.dispose();
          if (message === '') {
            break;
          }
          const named = /^\w+: (the device did not take|tfjs could not do) the work: out of memory/;
          expect(message).toMatch(name.startsWith('a gradient') ? /out of memory/ : named);
          ours += Number(ofUs);
        }
      } finally {
        Reflect.deleteProperty(device, 'createBuffer');
      }
      expect(ours).toBeGreaterThan(1);
    });
  });

  test('a cache that gets no room stays as it was', async () => {
    await onBackend('webgpu', async () => {
      const tokens = (T: number) => tf.tensor(normals(2 * T * 8, T), [2, T, 8]);
      const device = currentDevice();
      const { createBuffer } = device;
      const run = async (fails: boolean) => {
        const cache = new LshCache({ numBuckets: 4, numHashes: 2 });
        cache.append(tokens(20), tokens(20));
        if (fails) {
          device.createBuffer = () => {
            throw new RangeError('out of memory');
          };
          const before = tf.memory().numTensors;
          expect(() => tf.tidy(() => cache.append(tokens(300), tokens(300)))).toThrow(/out of memory/);
          Reflect.deleteProperty(device, 'createBuffer');
          expect(tf.memory().numTensors).toBe(before);
          expect(cache.length).toBe(20);
        }
        const out = await cache.append(tokens(3), tokens(3)).data();
        cache.dispose();
        return out;
      };
      try {
        expect(await run(true)).toEqual(await run(false));
      } finally {
        Reflect.deleteProperty(device, 'createBuffer');
        expect(device.createBuffer).toBe(createBuffer);
      }
    });
  });

  test('what the device refuses later is told when it is read', async () => {
    await onBackend('webgpu', async () => {
      const x = () => tf.tensor(normals(2 * 50 * 8, 1), [2, 50, 8]);
      const attend = () => lshAttention(x(), tf.mul(x(), 1), { ...OPTIONS, numHashes: 3, seed: 77 });
      const device = currentDevice();
      const { createBuffer } = device;
      // As from a device without memory: the buffer is none, and the device says so when it is used.
      device.createBuffer = (descriptor) => {
        const buffer = createBuffer.call(device, descriptor);
        if (!descriptor.mappedAtCreation) {
          buffer.destroy();
        }
        return buffer;
      };
      const wrong = tf.tidy(attend);
      Reflect.deleteProperty(device, 'createBuffer');
      await expect(wrong.data()).rejects.toThrow(
        /^Tensor\.data: the device (refused|had no memory).*smaller/s,
      );
      await expect(wrong.data()).rejects.toThrow(/^Tensor\.data: the device/);
      wrong.dispose();
      // What was kept of the call for the next is forgotten, and the next is right.
      const right = await onBackend('cpu', () => attend().data());
      expect(largestError(await attend().data(), right)).toBeLessThan(1e-4);
    });
  });

  test(`${SHAPES} calls of random shapes leave a pool of bounded size`, async () => {
    const restore = await freshBackend(); // a pool of its own
    try {
      const lengths = integers(SHAPES, 12_000, 7).map((n) => n + 4000);
      let most = 0;
      let asked = 0;
      for (const L of lengths) {
        const out = tf.tidy(() => {
          const x = tf.zeros([L, 16]);
          return lshAttention(x, x, { chunkLength: 16, numHashes: 1, numBuckets: 4 });
        });
        asked += 2 * 64 * L;
        out.dispose();
        const { numBytesAllocatedInGPU } = tf.memory() as unknown as { numBytesAllocatedInGPU: number };
        most = Math.max(most, numBytesAllocatedInGPU);
      }
      console.info(
        `${SHAPES} shapes: ${(asked / 2 ** 20).toFixed(0)} MiB made, ${(most / 2 ** 20).toFixed(0)} kept at most`,
      );
      expect(asked).toBeGreaterThan(2 ** 27);
      expect(most).toBeLessThan(2 ** 27);
    } finally {
      await restore();
    }
  });

  test('buffers of large operations between calls stay for the next time', async () => {
    const restore = await freshBackend();
    try {
      const once = () =>
        tf.tidy(() => {
          const x = tf.zeros([2, 2 ** 24]); // 128 MiB, 64 of them in one tensor more
          const large = tf.add(tf.sum(x, 1), tf.sum(tf.square(x), 1));
          const qk = tf.zeros([64, 16]);
          return tf.add(tf.sum(large), tf.sum(lshAttention(qk, qk, { chunkLength: 16, numHashes: 1 })));
        });
      const allocated = () => {
        once().dispose();
        return pool().numBytesAllocated;
      };
      allocated(); // from its first call on it is known what is in use
      const second = allocated();
      expect(second).toBeGreaterThan(2 ** 27);
      expect([allocated(), allocated()]).toEqual([second, second]);
    } finally {
      await restore();
    }
  });

  describe('small bindings', () => {
    const D = 6;
    const rows = normals(900 * D, 1, false);
    const queries = normals(40 * D, 2, false);
    const make = {
      BruteForceIndex: () => new BruteForceIndex({ D }),
      'BruteForceIndex of 16 bits': () => new BruteForceIndex({ D, storage: 'float16' }),
      BinaryIndex: () => new BinaryIndex({ D }),
    };
    test.each(Object.keys(make) as (keyof typeof make)[])('%s is split, and answers alike', async (name) => {
      const answers = (binding?: number) =>
        onBackend('webgpu', async () => {
          const index = make[name]();
          await index.build(rows.subarray(0, 700 * D));
          if (binding !== undefined) {
            pretend({ maxStorageBufferBindingSize: binding });
          }
          const before = tf.memory().numDataBuffers;
          const found = [await index.query(queries, { k: 5 })];
          const parts = tf.memory().numDataBuffers - before;
          await index.add(rows.subarray(700 * D));
          index.remove([3, 5, 800]);
          found.push(await index.query(queries, { k: 5 }));
          index.dispose();
          return { found, parts };
        });
      const whole = await answers();
      const split = await answers(8192);
      expect(split.found).toEqual(whole.found);
      expect(split.parts).toBeGreaterThanOrEqual(2 * whole.parts);
    });

    test('1,048,576 tokens go through bindings of 128 MiB', () => {
      const { forward, backward } = plan({ H: 2, L: 2 ** 20, D: 32 }, { numHashes: 2 }, LARGE_BUFFERS);
      for (const { batches, shape } of [...forward, backward]) {
        expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(shape.B * shape.H);
        for (const { parts } of batches) {
          for (const { size } of Object.values(parts)) {
            expect(size).toBeLessThanOrEqual(2 ** 27);
          }
        }
      }
      expect(backward.batches.length).toBe(2);
    });

    test.runIf(LONG)(
      '1,048,576 tokens in fact',
      async () => {
        await onBackend('webgpu', async () => {
          const L = 2 ** 20;
          const next = uniform(1);
          const values = Float32Array.from({ length: 2 * L * 32 }, () => next() - 0.5);
          const options = { numHashes: 1, chunkLength: 16 };
          // Whole tensors are read: no operation of tfjs binds one that is larger than a binding.
          const x = tf.tensor(values, [2, L, 32]);
          const buckets = lshBuckets(x, options);
          const ids = await buckets.data();
          const both = lshAttention(x, x, { ...options, buckets });
          const ofBoth = await both.data();
          tf.dispose([x, buckets, both]);
          // The second head alone fits, and needs no split.
          const second = tf.tensor(values.subarray(L * 32), [1, L, 32]);
          const own = tf.tensor(ids.subarray(L), [1, 1, 1, L], 'int32');
          const alone = lshAttention(second, second, { ...options, buckets: own });
          const ofAlone = await alone.data();
          expect(largestError(ofAlone, ofBoth.subarray(L * 32))).toBe(0);
          expect(ofAlone.some((value) => value !== 0)).toBe(true);
          tf.dispose([second, own, alone]);
        });
      },
      1_200_000,
    );
  });
});

const LARGE_BUFFERS = { ...DEFAULT_TRAITS, maxBufferSize: 2 ** 31 };
