import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
// tfjs-core alone has no gradients of its ops; tfjs-layers registers them.
import '@tensorflow/tfjs-layers';
import { loadTfjsNode } from '../bench/tfjsNode.js';
import { useSubgroups } from '../src/attention/subgroups.js';
import { useWebGPU } from '../src/node/index.js';
import { currentDevice } from '../src/webgpu/backend.js';
import { BACKENDS } from './call.js';

if (BACKENDS.includes('tensorflow')) {
  console.info(`tensorflow: ${loadTfjsNode()}`);
}
if (BACKENDS.includes('webgpu')) {
  console.info(`adapter: ${await startWebGPU()}`);
} else {
  await tf.setBackend(BACKENDS[0] ?? 'cpu');
}

async function startWebGPU(): Promise<string> {
  const { description } = await useWebGPU();
  if (/null/i.test(description)) {
    throw new Error('the null adapter computes nothing: no numeric test may run on it');
  }
  // Small tensors too go through the GPU.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  // LSH_DEVICE=own: with all that the adapter offers, so that the kernels' faster variants run.
  if (process.env.LSH_DEVICE !== 'own') {
    return description;
  }
  useSubgroups();
  if (!currentDevice().features.has('subgroups')) {
    // Imported only now: the backend registers itself where navigator.gpu is defined.
    const { useOwnDevice } = await import('../src/webgpu/device.js');
    await useOwnDevice();
  }
  return `${description}, own device`;
}
