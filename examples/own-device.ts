import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import { exposeWebGPU } from 'tfjs-lsh-attention/node';
import { profile, useOwnDevice } from 'tfjs-lsh-attention/webgpu';

// tfjs on a device of one's own, and the time of every kernel of a call on it.
await exposeWebGPU(); // in a browser WebGPU is there already
const { features } = await useOwnDevice();
console.log(`features beyond tfjs's device: ${features.join(', ') || 'none'}`);

const qk = tf.randomNormal([1, 2, 1024, 32], 0, 1, 'float32', 1);
lshAttention(qk, qk, { numHashes: 2 }).dispose(); // compiles
const { result, passes } = await profile(() => lshAttention(qk, qk, { numHashes: 2 }));
for (const { kernel, milliseconds } of passes) {
  console.log(`${kernel.padEnd(18)} ${milliseconds.toFixed(2).padStart(8)} ms`);
}
console.log(`mean of the output: ${(await tf.mean(result).data())[0]?.toFixed(4)}`);
