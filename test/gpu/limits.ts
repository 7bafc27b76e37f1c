import { currentDevice } from '../../src/webgpu/backend.js';

let real: { readonly device: GPUDevice; readonly limits: GPUSupportedLimits } | undefined;

/** Lets the package see smaller limits than the device has: a device cannot be asked for less than WebGPU's defaults. */
export function pretend(limits: Partial<GPUSupportedLimits>): void {
  const device = currentDevice();
  real ??= { device, limits: device.limits };
  const { limits: own } = real;
  const value = new Proxy(own, {
    get: (target, name) => Reflect.get(limits, name) ?? Reflect.get(target, name),
  });
  Object.defineProperty(device, 'limits', { value, configurable: true, writable: true });
}

/** The device's own limits again. */
export function pretendNothing(): void {
  if (real !== undefined) {
    Object.defineProperty(real.device, 'limits', { value: real.limits, configurable: true, writable: true });
    real = undefined;
  }
}
