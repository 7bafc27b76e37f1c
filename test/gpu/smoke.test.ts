import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { denseAttention, lshAttention } from '../../src/index.js';

test('one chunk for all is dense attention', async () => {
  const qk = tf.randomNormal([1, 2, 64, 16]) as tf.Tensor;
  const v = tf.randomNormal([1, 2, 64, 16]) as tf.Tensor;
  const a = await lshAttention(qk, v, { chunkLength: 64 }).data();
  const b = await denseAttention(qk, v).data();
  expect(Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))).toBeLessThan(1e-5);
});
