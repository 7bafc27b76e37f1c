import * as tf from '@tensorflow/tfjs-core';
import { forgetLostBackend, whyLost } from '../webgpu/watch.js';
import { ADAPTER_KINDS, type AdapterKind, type FoundAdapter, findAdapter, hold } from './dawn.js';

/** Options of {@link useWebGPU}. */
export interface UseWebGPUOptions {
  /**
   * The kind of adapter to use, and no other: `'gpu'`, `'lavapipe'` or `'swiftshader'`.
   * @default the environment variable LSH_ADAPTER, else the first of these that there is
   */
  readonly adapter?: AdapterKind;
}

/** What {@link useWebGPU} found. */
export interface AdapterSummary {
  /** Which of the kinds it is. */
  readonly kind: AdapterKind;
  /** A line for people, such as `SwiftShader driver 5.0.0 (swiftshader)`. */
  readonly description: string;
}

let exposed: Promise<FoundAdapter> | undefined;

/**
 * Defines `navigator.gpu` and WebGPU's globals in Node, by Dawn (npm `webgpu`, an optional peer):
 * on a hardware GPU, else on lavapipe, else on SwiftShader. Calls after the first return what it found.
 *
 * @throws Error saying what is missing for each kind of adapter.
 */
export async function exposeWebGPU(options: UseWebGPUOptions = {}): Promise<AdapterSummary> {
  const wanted = options?.adapter ?? (process.env.LSH_ADAPTER || undefined);
  if (wanted !== undefined && !ADAPTER_KINDS.includes(wanted as AdapterKind)) {
    throw new RangeError(
      `useWebGPU: \`adapter\` (or LSH_ADAPTER) must be ${ADAPTER_KINDS.map((kind) => `'${kind}'`).join(', ')}, got ${typeof wanted === 'string' ? `'${wanted}'` : typeof wanted}.`,
    );
  }
  exposed ??= findAdapter(wanted === undefined ? ADAPTER_KINDS : [wanted as AdapterKind]).then(install);
  exposed.catch(() => {
    exposed = undefined; // a later call may find what was missing
  });
  const { kind, description } = await exposed;
  if (options?.adapter != null && options.adapter !== kind) {
    throw new Error(
      `useWebGPU: this process already uses ${description}. Ask for '${options.adapter}' in the first call.`,
    );
  }
  return { kind, description };
}

/**
 * Makes WebGPU the backend of tfjs in Node: {@link exposeWebGPU}, then tfjs's own WebGPU backend
 * (`@tensorflow/tfjs-backend-webgpu`, an optional peer) on that adapter. Called again after the device was lost, it
 * starts on another.
 *
 * @throws Error saying what is missing.
 */
export async function useWebGPU(options: UseWebGPUOptions = {}): Promise<AdapterSummary> {
  const summary = await exposeWebGPU(options);
  // Imported only now: the backend registers itself where navigator.gpu is defined.
  await import('@tensorflow/tfjs-backend-webgpu').catch((error) => {
    throw new Error(
      'useWebGPU: the npm package @tensorflow/tfjs-backend-webgpu does not load. Run: npm install @tensorflow/tfjs-backend-webgpu',
      { cause: error },
    );
  });
  await forgetLostBackend();
  if (!(await tf.setBackend('webgpu'))) {
    throw new Error(`useWebGPU: tfjs's WebGPU backend does not start on ${summary.description}.`);
  }
  await tf.ready();
  whyLost(tf.backend()); // watches it from now on
  return summary;
}

function install(found: FoundAdapter): FoundAdapter {
  const gpu = {
    wgslLanguageFeatures: found.gpu.wgslLanguageFeatures,
    getPreferredCanvasFormat: () => 'bgra8unorm',
    // An adapter gives one device: each request needs an adapter of its own, and must be kept.
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await found.gpu.requestAdapter(options);
      return adapter && keepingDevices(hold(adapter));
    },
  };
  if (!('navigator' in globalThis)) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  return found;
}

function keepingDevices(adapter: GPUAdapter): GPUAdapter {
  const requestDevice = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => hold(await requestDevice(descriptor));
  return adapter;
}
