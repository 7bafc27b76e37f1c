import { performance } from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

/** Milliseconds, and the share of them in which Node did nothing. */
async function read(size: number): Promise<{ readonly milliseconds: number; readonly idle: number }> {
  const start = performance.now();
  const before = performance.eventLoopUtilization();
  const x = tf.ones([size, size]);
  const y = tf.tidy(() => tf.sum(tf.matMul(tf.matMul(x, x), x)));
  const { setImmediate } = globalThis;
  await y.data();
  expect(globalThis.setImmediate).toBe(setImmediate);
  const { utilization } = performance.eventLoopUtilization(before);
  tf.dispose([x, y]);
  return { milliseconds: performance.now() - start, idle: 1 - utilization };
}

test('who waits for the GPU leaves the processor to others', async () => {
  await read(64);
  let size = 256;
  let { milliseconds, idle } = await read(size);
  while (milliseconds < 200) {
    size *= 2;
    await read(size); // compiles, perhaps
    ({ milliseconds, idle } = await read(size));
  }
  expect(idle).toBeGreaterThan(0.5);
});
