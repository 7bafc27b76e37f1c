import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { expect, test } from 'vitest';
import { normals } from '../inputs.js';

const shape = [2, 60, 12];
const work = {
  numbers: normals(2 * 60 * 12, 1),
  shape,
  options: { chunkLength: 16, numHashes: 2 },
  times: 5,
};

/** What a worker posts, once it has ended. */
function inWorker(): Promise<Float32Array[]> {
  return new Promise((resolve, reject) => {
    let posted: Float32Array[] = [];
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: work });
    worker.on('message', (results) => {
      posted = results;
    });
    worker.on('error', reject);
    worker.on('exit', (code) => (code === 0 ? resolve(posted) : reject(new Error(`exit code ${code}`))));
  });
}

test('threads with devices of their own give the bits of one', async () => {
  await useWebGPU();
  const attend = async () => {
    const x = tf.tensor(work.numbers, shape);
    return (await lshAttention(x, x, work.options).data()) as Float32Array;
  };
  const alone = await attend();
  const [first, second, here] = await Promise.all([inWorker(), inWorker(), attend()]);
  expect(here).toEqual(alone);
  for (const results of [first, second]) {
    expect(results).toEqual(Array(work.times).fill(alone));
  }
});
