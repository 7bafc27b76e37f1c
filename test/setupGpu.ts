import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
// tfjs-core alone has no gradients of its ops; tfjs-layers registers them.
import '@tensorflow/tfjs-layers';
import { loadTfjsNode } from '../bench/tfjsNode.js';
import { useWebGPU } from '../src/node/index.js';
import { BACKENDS } from './call.js';

if (BACKENDS.includes('tensorflow')) {
  console.info(`tensorflow: ${loadTfjsNode()}`);
}
if (BACKENDS.includes('webgpu')) {
  const { description } = await useWebGPU();
  // Small tensors too go through the GPU.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  if (/null/i.test(description)) {
    throw new Error('the null adapter computes nothing: no numeric test may run on it');
  }
  console.info(`adapter: ${description}`);
} else {
  await tf.setBackend(BACKENDS[0] ?? 'cpu');
}
