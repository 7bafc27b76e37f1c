/** A device that a browser loses. What follows in depth is tested in Node. */
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { lshAttention } from '../../src/index.js';
import { currentDevice, useOwnDevice } from '../../src/webgpu/device.js';

const inputs = () =>
  tf.tensor(
    Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i)),
    [100, 20],
  );
const LOST = /the WebGPU device is lost \(destroyed.*Start anew/s;

test('a lost device is told of, and another goes on', async () => {
  expect(await tf.setBackend('webgpu')).toBe(true);
  const right = await lshAttention(inputs(), inputs()).data();
  const device = currentDevice();
  const old = tf.mul(inputs(), 1);
  const pending = lshAttention(old, old).data();
  device.destroy();
  await expect(pending).rejects.toThrow(LOST);
  await device.lost;
  expect(() => lshAttention(old, old)).toThrow(LOST);
  expect(() => lshAttention(old, old)).toThrow(/^lshAttention: `qk` cannot be read/);

  await useOwnDevice();
  expect(() => lshAttention(old, old)).toThrow(/^lshAttention: `qk` cannot be read/);
  const again = await lshAttention(inputs(), inputs()).data();
  expect(Math.max(...again.map((x, i) => Math.abs(x - (right[i] as number))))).toBeLessThan(1e-5);
});
