/** A thread with a device of its own: posts what lshAttention gives it. */
import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import { useWebGPU } from 'tfjs-lsh-attention/node';

const { numbers, shape, options, times } = workerData;
await useWebGPU();
const results = [];
for (let i = 0; i < times; i++) {
  const out = tf.tidy(() => lshAttention(tf.tensor(numbers, shape), tf.tensor(numbers, shape), options));
  results.push(await out.data());
  out.dispose();
}
parentPort.postMessage(results);
