import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
// tfjs-core alone has no gradients of its ops; tfjs-layers registers them.
import '@tensorflow/tfjs-layers';
import { useWebGPU } from '../src/node/index.js';

const { description } = await useWebGPU();
// Small tensors too go through the GPU.
tf.env().set('WEBGPU_CPU_FORWARD', false);
if (/null/i.test(description)) {
  throw new Error('the null adapter computes nothing: no numeric test may run on it');
}
console.info(`adapter: ${description}`);
