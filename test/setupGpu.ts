import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
// tfjs-core alone has no gradients of its ops; tfjs-layers registers them.
import '@tensorflow/tfjs-layers';
import { useWebGPU } from '../src/node/index.js';
import { currentDevice } from '../src/webgpu/backend.js';

const { description } = await useWebGPU();
// LSH_DEVICE=own: with all that the adapter offers, so that the kernels' faster variants run.
const own = process.env.LSH_DEVICE === 'own';
if (own && !currentDevice().features.has('subgroups')) {
  // Imported only now: the backend registers itself where navigator.gpu is defined.
  const { useOwnDevice } = await import('../src/webgpu/device.js');
  await useOwnDevice();
}
// Small tensors too go through the GPU.
tf.env().set('WEBGPU_CPU_FORWARD', false);
if (/null/i.test(description)) {
  throw new Error('the null adapter computes nothing: no numeric test may run on it');
}
console.info(`adapter: ${description}${own ? ', own device' : ''}`);
