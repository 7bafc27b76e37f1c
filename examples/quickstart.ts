import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import { useWebGPU } from 'tfjs-lsh-attention/node';

await useWebGPU(); // in a browser: import '@tensorflow/tfjs-backend-webgpu'; await tf.setBackend('webgpu')
const qk = tf.randomNormal([1, 4, 1024, 64]); // queries and keys: batch, heads, length, depth
const v = tf.randomNormal([1, 4, 1024, 64]); // values
const out = lshAttention(qk, v, { causal: true, numHashes: 2 });
console.log(out.shape, (await tf.slice(out, [0, 0, 1023, 0], [1, 1, 1, 4]).data()).join(' '));
