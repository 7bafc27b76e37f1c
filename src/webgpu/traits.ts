import type { Kernels } from './kernels.js';

/** One way in which a kernel does its work. Results differ by rounding alone. */
export interface Variant {
  /** Rows in lanes, keys by subgroup shuffles; else tiles in workgroup memory, which every device can do. */
  readonly subgroup: boolean;
  /** Rows that a lane owns, whole ones with subgroups, else with its part of the tile's keys. */
  readonly rows: number;
  /** Keys of a tile in workgroup memory. */
  readonly keys?: number;
}

/** Variants by family of kernels, as an autotuner found them. */
export type Tunings = Readonly<Partial<Record<string, Variant>>>;

/** What a plan depends on of a device; names and defaults of the limits are WebGPU's. */
export interface DeviceTraits {
  /** Bytes of a tensor, or a part of one, that a kernel can be given. */
  readonly maxStorageBufferBindingSize: number;
  /** Bytes of a tensor at most. */
  readonly maxBufferSize: number;
  /** Workgroups along one axis of a dispatch. */
  readonly maxComputeWorkgroupsPerDimension: number;
  /**
   * Lanes of a subgroup, where shaders may use subgroups, all are of one size, and `useOwnDevice` or `useSubgroups` has
   * brought the kernels that use them; else 0.
   */
  readonly subgroupSize: number;
  /** Whether shaders may use 16-bit floats. */
  readonly f16: boolean;
  /** Whether the adapter is a processor: its registers spill to a cache, which costs little. */
  readonly software: boolean;
  /** What was measured to be fastest on it. */
  readonly tuning?: Tunings;
}

/** What every WebGPU device offers at least. */
export const DEFAULT_TRAITS: DeviceTraits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65535,
  subgroupSize: 0,
  f16: false,
  software: false,
};

const tunings = new WeakMap<GPUDevice, Tunings>();

/** What was measured to be fastest on a device. */
export function tuningOf(device: GPUDevice): Tunings {
  return tunings.get(device) ?? {};
}

/** Calls on a device use this tuning from now on. */
export function setTuning(device: GPUDevice, tuning: Tunings): void {
  tunings.set(device, tuning);
}

let subgroupKernels: Kernels | undefined;

/** Calls on devices with subgroups use these kernels from now on. */
export function offerSubgroups(kernels: Kernels): void {
  subgroupKernels = kernels;
}

/** These kernels, and those for subgroups where they are on offer. */
export function withSubgroups(kernels: Kernels): Kernels {
  return { ...kernels, ...subgroupKernels };
}

/**
 * The traits of a device.
 *
 * @throws TypeError for what is no device.
 */
export function traitsOf(device: GPUDevice): DeviceTraits {
  if (typeof device?.limits !== 'object' || typeof device.features?.has !== 'function') {
    throw new TypeError('traitsOf: `device` must be a GPUDevice. Try currentDevice().');
  }
  const { limits, features, adapterInfo } = device;
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension } = limits;
  // Older browsers have no adapterInfo on a device.
  const { subgroupMinSize = 0, subgroupMaxSize = 0, isFallbackAdapter = false } = adapterInfo ?? {};
  const usable = subgroupKernels !== undefined && features.has('subgroups');
  return {
    ...{ maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension },
    subgroupSize: usable && subgroupMinSize === subgroupMaxSize ? subgroupMinSize : 0,
    f16: features.has('shader-f16'),
    software: isFallbackAdapter,
    tuning: tuningOf(device),
  };
}
