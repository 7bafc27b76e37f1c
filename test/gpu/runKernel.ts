import { currentDevice } from '../../src/webgpu/backend.js';
import { PassSequence } from '../../src/webgpu/dispatch.js';
import type { KernelName } from '../../src/webgpu/kernels.js';
import { kernels } from '../kernels.js';

type Values = Float32Array | Int32Array | Uint32Array;

export interface KernelRun<T extends Record<string, Values>> {
  readonly constants?: Record<string, number>;
  readonly sizes?: Record<string, number>;
  readonly params: Record<string, number | readonly number[]>;
  readonly workgroups: number;
  /** What every binding holds before, by its name. */
  readonly buffers: T;
}

/** Runs one kernel on the current device, and returns what its buffers hold after. */
export async function runKernel<T extends Record<string, Values>>(
  kernel: KernelName,
  { constants = {}, sizes = {}, params, workgroups, buffers }: KernelRun<T>,
): Promise<T> {
  const device = currentDevice();
  const made: GPUBuffer[] = [];
  const buffer = (size: number, usage: GPUBufferUsageFlags) => {
    const one = device.createBuffer({ size: Math.max(16, size), usage });
    made.push(one);
    return one;
  };
  device.pushErrorScope('validation');
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const held = Object.entries(buffers).map(([name, values]) => {
    const storage = buffer(values.byteLength, STORAGE | COPY_SRC | COPY_DST);
    device.queue.writeBuffer(storage, 0, values as Values & ArrayBufferView<ArrayBuffer>);
    return { name, values, storage, copy: buffer(values.byteLength, COPY_DST | MAP_READ) };
  });
  const encoder = device.createCommandEncoder();
  const bindings = Object.fromEntries(held.map(({ name }) => [name, { name }]));
  const code = kernels[kernel];
  const pass = { kernel, code, constants, sizes, params, workgroups, aliases: {}, bindings };
  const sequence = new PassSequence(device, [pass]);
  sequence.record(encoder, Object.fromEntries(held.map(({ name, storage }) => [name, storage])));
  for (const { storage, copy, values } of held) {
    encoder.copyBufferToBuffer(storage, 0, copy, 0, values.byteLength);
  }
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error !== null) {
    throw new Error(`${kernel}: ${error.message}`);
  }
  const after: Record<string, Values> = {};
  for (const { name, values, copy } of held) {
    await copy.mapAsync(GPUMapMode.READ);
    const type = values.constructor as new (buffer: ArrayBuffer) => Values;
    after[name] = new type(copy.getMappedRange().slice(0, values.byteLength));
  }
  sequence.dispose();
  for (const one of made) {
    one.destroy();
  }
  return after as T;
}
