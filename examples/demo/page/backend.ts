/** A backend of tfjs in a worker: WebGPU where there is one, else WebAssembly, else JavaScript. */

import plainWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simdWasm from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import * as tf from '@tensorflow/tfjs-core';
import { useTiledProducts } from '../../training/products.js';
import type { BackendChoice, Device } from './messages.js';

/** What a worker asks of a backend. */
export interface Demands {
  /** Whether it trains: tfjs's WebAssembly backend lacks operations that gradients need. */
  readonly gradients: boolean;
  /** Called when the GPU goes away, with a reason. */
  lost(message: string): void;
}

/**
 * Starts the backend asked for, or the first that there is.
 *
 * @throws Error where the one asked for does not start.
 */
export async function startBackend(choice: BackendChoice, { gradients, lost }: Demands): Promise<Device> {
  switch (choice) {
    case 'cpu':
      return await startCpu();
    case 'wasm':
      return gradients
        ? { ...(await startCpu()), instead: 'tfjs has no gradients in WebAssembly.' }
        : await startWasm();
    case 'webgpu':
      return await startWebGPU(lost);
    case 'auto':
      try {
        return await startWebGPU(lost);
      } catch (error) {
        const device = gradients ? await startCpu() : await startWasm().catch(startCpu);
        return { ...device, instead: `No WebGPU: ${(error as Error).message}.` };
      }
  }
}

async function startWebGPU(lost: (message: string) => void): Promise<Device> {
  if (navigator.gpu === undefined) {
    throw new Error('this browser has no WebGPU');
  }
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new Error('WebGPU finds no GPU here');
  }
  const { useOwnDevice } = await import('tfjs-lsh-attention/webgpu');
  const { device } = await useOwnDevice();
  void device.lost.then(({ message }) => lost(message));
  const { vendor, architecture, description } = adapter.info;
  if (architecture === 'swiftshader') {
    useTiledProducts();
  }
  const name = description || [vendor, architecture].filter((part) => part !== '').join(' ') || 'a GPU';
  return { backend: 'webgpu', name };
}

async function startWasm(): Promise<Device> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths({
    'tfjs-backend-wasm.wasm': plainWasm,
    'tfjs-backend-wasm-simd.wasm': simdWasm,
    'tfjs-backend-wasm-threaded-simd.wasm': simdWasm, // has to be named, and is never loaded
  });
  // Threads need headers that a static host does not send.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (!(await tf.setBackend('wasm'))) {
    throw new Error('WebAssembly does not start here');
  }
  return { backend: 'wasm', name: 'WebAssembly' };
}

async function startCpu(): Promise<Device> {
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  return { backend: 'cpu', name: 'JavaScript' };
}
