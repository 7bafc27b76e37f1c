import type { KernelBackend } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Puts a WebGPU backend with a device of its own in the place of the one that all files share, whose pipelines are
 * compiled; the function that is returned puts that one back.
 */
export async function freshBackend(): Promise<() => Promise<void>> {
  const { registry } = tf.engine() as unknown as { registry: Record<string, KernelBackend> };
  const before = tf.getBackend();
  const factory = tf.findBackendFactory('webgpu');
  await tf.setBackend('webgpu');
  const shared = registry.webgpu as KernelBackend;
  delete registry.webgpu;
  await tf.setBackend('webgpu');
  return async () => {
    tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', factory, 3);
    registry.webgpu = shared;
    await tf.setBackend(before);
  };
}
