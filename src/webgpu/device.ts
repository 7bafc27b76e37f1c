export {
  type AutotuneOptions,
  autotune,
  type TunedVariant,
  type TuningReport,
  useTuning,
} from '../attention/autotune.js';
export { useSubgroups } from '../attention/subgroups.js';
export type { Family, Tuning } from '../attention/variants.js';
export { currentDevice, type MeasuredBytes, measureBytes } from './backend.js';
export { type Ceilings, measureCeilings } from './ceilings.js';
export {
  type KernelTime,
  type PassTime,
  type Profile,
  type ProfileOptions,
  profile,
} from './profile.js';
export { type DeviceTraits, traitsOf, type Variant } from './traits.js';

import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { useSubgroups } from '../attention/subgroups.js';
import { BACKEND } from './backend.js';
import { whyLost } from './watch.js';

/** Options of {@link useOwnDevice}. */
export interface OwnDeviceOptions {
  /** Which adapter to ask for where there are several. @default 'high-performance' */
  readonly powerPreference?: GPUPowerPreference;
}

/** What a device offers beyond tfjs's own. */
export interface OwnDevice {
  /** The device that tfjs is on now, which is tfjs's own to destroy. */
  readonly device: GPUDevice;
  /** Of {@link WANTED_FEATURES}, those that the adapter has. */
  readonly features: readonly GPUFeatureName[];
}

/** Features that faster kernels can use, and timestamps to measure them. */
export const WANTED_FEATURES: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

const PREFERENCES: readonly GPUPowerPreference[] = ['low-power', 'high-performance'];

/**
 * Puts tfjs's WebGPU backend on a device that offers what the adapter has: f16 and subgroups in
 * shaders, and the adapter's limits. tfjs's own device has neither, and 8 storage buffers a stage.
 *
 * Tensors of a WebGPU backend that is already in use are lost: call this first. Call it again where the device was lost.
 *
 * @throws Error where there is no WebGPU, or no adapter; RangeError for another preference.
 */
export async function useOwnDevice(options: OwnDeviceOptions = {}): Promise<OwnDevice> {
  const { powerPreference = 'high-performance' } = options ?? {};
  if (!PREFERENCES.includes(powerPreference)) {
    throw new RangeError(
      `useOwnDevice: \`powerPreference\` must be '${PREFERENCES.join("' or '")}', got ${typeof powerPreference === 'string' ? `'${powerPreference}'` : typeof powerPreference}.`,
    );
  }
  useSubgroups();
  const made = await requestDevice(powerPreference);
  let first: typeof made | undefined = made;
  tf.removeBackend(BACKEND);
  // Registered anew after its device was lost, the same factory makes another.
  const factory = async () => {
    const { device, info } = first ?? (await requestDevice(powerPreference));
    first = undefined;
    return new WebGPUBackend(device, info);
  };
  tf.registerBackend(BACKEND, factory, 3);
  if (!(await tf.setBackend(BACKEND))) {
    throw new Error("useOwnDevice: tfjs's WebGPU backend does not start on the new device.");
  }
  whyLost(tf.backend()); // watches it from now on
  return { device: made.device, features: made.features };
}

/** A device with all that the adapter offers of {@link WANTED_FEATURES} and limits. */
async function requestDevice(
  powerPreference: GPUPowerPreference,
): Promise<OwnDevice & { readonly info: GPUAdapterInfo }> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new Error(
      'useOwnDevice: there is no WebGPU adapter here. In Node call exposeWebGPU() of tfjs-lsh-attention/node first; in a browser see navigator.gpu.',
    );
  }
  const features = WANTED_FEATURES.filter((feature) => adapter.features.has(feature));
  const device = await adapter.requestDevice({
    requiredFeatures: [...features],
    requiredLimits: {
      maxStorageBuffersPerShaderStage: adapter.limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
      maxComputeWorkgroupsPerDimension: adapter.limits.maxComputeWorkgroupsPerDimension,
      maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: adapter.limits.maxComputeWorkgroupSizeX,
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxBufferSize: adapter.limits.maxBufferSize,
    },
  });
  return { device, features, info: adapter.info };
}
