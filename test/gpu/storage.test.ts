import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, test } from 'vitest';
import { lshAttentionWithLse, lshBuckets } from '../../src/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { useOwnDevice } from '../../src/webgpu/device.js';
import { setTuning } from '../../src/webgpu/traits.js';
import { expectAsExactAsFloat32, largestError } from '../accuracy.js';
import { normals } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { toFloat16 } from '../oracle/float16.js';
import { toFloat32 } from '../oracle/shape.js';
import { freshBackend } from './freshBackend.js';
import { runKernel } from './runKernel.js';

if (!currentDevice().features.has('shader-f16')) {
  // For this file alone: the files after it go on with the pipelines of the device that they share.
  afterAll(await freshBackend());
  await useOwnDevice();
}
const able = currentDevice().features.has('shader-f16');
if (!able) {
  console.info('skipped: rows as 16-bit floats, which this adapter does not have (shader-f16)');
}

const SHAPE = { B: 2, H: 2, L: 150, D: 24, E: 12 };
const { B, H, L, D, E } = SHAPE;
const OPTIONS = { numHashes: 2, chunkLength: 16, numBuckets: 8, causal: true } as const;
const qk = normals(B * H * L * D, 1);
const v = normals(B * H * L * E, 2);
qk.set([1e5, -1e5, 3e-8, 0], D);

describe.runIf(able)('rows as 16-bit floats', () => {
  test('every number is rounded to the nearest, and cut at the largest', async () => {
    const rows = Float32Array.from([1e5, -1e5, 0, 65504, 65519, 1 / 3, -2.5e-5, 1e-8, ...qk.subarray(0, 64)]);
    const { halves } = await runKernel('attend/halve', {
      params: { vectors: rows.length / 4 - 1, rowsStart: 4 },
      workgroups: 1,
      buffers: { rows, halves: new Int32Array(rows.length / 2) },
    });
    const bits = new Uint16Array(halves.buffer);
    for (const [i, value] of rows.subarray(4).entries()) {
      expect(fromBits(bits[i] as number), `${value}`).toBe(toFloat16(value) + 0);
    }
  });

  test.each(['subgroups', 'none'])('attention to rounded rows, by the variant with %s', async (variant) => {
    const plain = { subgroup: false, rows: 4, keys: 64 };
    setTuning(currentDevice(), variant === 'none' ? { 'attend/forward': plain } : {});
    const [queries, values] = [tf.tensor(qk, [B, H, L, D]), tf.tensor(v, [B, H, L, E])];
    const call = (storage: 'float16' | 'float32') => {
      const { out, lse } = lshAttentionWithLse(queries, values, { ...OPTIONS, storage });
      return Promise.all([out.data(), lse.data()]) as Promise<Float32Array[]>;
    };
    const [out, lse] = (await call('float16')) as [Float32Array, Float32Array];
    const [exact] = (await call('float32')) as [Float32Array];
    const buckets = (await lshBuckets(queries, OPTIONS).data()) as Int32Array;
    setTuning(currentDevice(), {});
    const options = { ...OPTIONS, R: 2, C: 16, P: 1, A: 0, N: 8, duplicates: 'correct' as const };
    const inputs = { qk: qk.map(toFloat16), v: v.map(toFloat16), buckets };
    const expected = attend(inputs, SHAPE, options);
    const naive = attend(inputs, SHAPE, options, toFloat32);
    expectAsExactAsFloat32(out, expected.out, naive.out, 'out');
    expectAsExactAsFloat32(lse, expected.lse, naive.lse, 'lse');
    expect(largestError(out, exact)).toBeGreaterThan(1e-5);
  });

  test('its gradient is float32', async () => {
    const [queries, values] = [tf.tensor(qk, [B, H, L, D]), tf.tensor(v, [B, H, L, E])];
    const gradient = tf.grads((q, w) =>
      tf.sum(lshAttentionWithLse(q as tf.Tensor, w as tf.Tensor, { ...OPTIONS, storage: 'float16' }).out),
    );
    for (const slope of gradient([queries, values])) {
      expect((await slope.data()).every(Number.isFinite)).toBe(true);
    }
  });
});

function fromBits(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
