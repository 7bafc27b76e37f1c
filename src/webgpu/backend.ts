/**
 * The insides of tfjs's WebGPU backend (4.22), which only this file, watch.ts and pool.ts know. Everything else asks here
 * for buffers and for a moment in which to submit commands.
 */

import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { DataType, Tensor, TensorInfo, TypedArray } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type BufferPool, boundPool } from './pool.js';

/** The backend's members that its declarations hide; all have been public in its JavaScript since 3.0. */
interface Opened {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** The name under which tfjs knows its WebGPU backend. */
export const BACKEND = 'webgpu';

/** Scratch up to this size goes back to tfjs's pool: a GPU takes long to find room for so much. */
const POOLED_BYTES = 2 ** 26;
/** Up to this size it is rounded up, so that the sizes in the pool are few. */
const ROUNDED_BYTES = 2 ** 22;

/** Whether operations run on tfjs's WebGPU backend now. */
export function onWebGPU(): boolean {
  return tf.getBackend() === BACKEND;
}

/**
 * The device of tfjs's WebGPU backend, which must be the current one.
 *
 * @throws Error where the backend is another.
 */
export function currentDevice(): GPUDevice {
  needWebGPU('currentDevice');
  return (tf.backend() as unknown as Opened).device;
}

/** Refuses to work on another backend. */
export function needWebGPU(name: string): void {
  if (!onWebGPU()) {
    throw new Error(`${name}: needs the webgpu backend. Call tf.setBackend('webgpu') first.`);
  }
}

/** Refuses what cannot be called. */
export function needFunction(name: string, call: unknown): void {
  if (typeof call !== 'function') {
    throw new TypeError(`${name}: \`call\` must be a function, got ${typeof call}.`);
  }
}

/**
 * The values of a tensor where they can be had at once, without waiting for a GPU.
 */
export function valuesAtHand(tensor: Tensor): TypedArray | undefined {
  if (onWebGPU()) {
    const values = (tf.backend() as WebGPUBackend).tensorMap.get(tensor.dataId).values;
    return (values ?? undefined) as TypedArray | undefined;
  }
  return tf.getBackend() === 'webgl' ? undefined : (tensor.dataSync() as TypedArray);
}

/**
 * The same tensors, those of dtype float32 with buffers that hold floats. A cast from int32 or bool
 * shares the integers' buffer in tfjs; multiplying by one writes floats.
 */
export function withFloatBuffers<T extends object>(tensors: T): T {
  const { tensorMap } = tf.backend() as WebGPUBackend;
  const entries = Object.entries(tensors).map(([name, tensor]: [string, Tensor]) => {
    const shared = tensor.dtype === 'float32' && tensorMap.get(tensor.dataId).dtype !== 'float32';
    return [name, shared ? tf.mul(tensor, 1) : tensor];
  });
  return Object.fromEntries(entries) as T;
}

/** What {@link measureBytes} found. */
export interface MeasuredBytes<T> {
  /** What the call returned. */
  readonly result: T;
  /** Most bytes of GPU buffers in use at once, beyond those in use before the call. */
  readonly peakBytes: number;
}

/**
 * Runs `call` on tfjs's WebGPU backend and follows the GPU memory in use meanwhile: what tfjs hands
 * out less what it takes back, and what is created on the device besides. Inputs that are on the GPU
 * already do not count; outputs do.
 *
 * @throws Error where the backend is another, TypeError for what is no function.
 */
export function measureBytes<T>(call: () => T): MeasuredBytes<T> {
  needWebGPU('measureBytes');
  needFunction('measureBytes', call);
  const { bufferManager } = tf.backend() as WebGPUBackend;
  const device = currentDevice();
  const { acquireBuffer } = bufferManager;
  const { createBuffer } = device;
  const before = bufferManager.numBytesUsed;
  let byTfjs = false;
  let besides = 0;
  let peakBytes = 0;
  const note = () => {
    peakBytes = Math.max(peakBytes, bufferManager.numBytesUsed - before + besides);
  };
  bufferManager.acquireBuffer = (...args) => {
    byTfjs = true;
    try {
      return acquireBuffer.apply(bufferManager, args);
    } finally {
      byTfjs = false;
      note();
    }
  };
  device.createBuffer = (descriptor) => {
    besides += byTfjs ? 0 : descriptor.size;
    note();
    return createBuffer.call(device, descriptor);
  };
  try {
    const result = call();
    return { result, peakBytes };
  } finally {
    bufferManager.acquireBuffer = acquireBuffer;
    device.createBuffer = createBuffer;
  }
}

/** The buffers of one operation: borrowed inputs, outputs for the caller, scratch that goes back. */
export class BufferScope {
  private readonly opened: Opened;
  private readonly scratches: { readonly buffer: GPUBuffer; readonly pooled: boolean }[] = [];
  private readonly outputs: TensorInfo[] = [];

  constructor(private readonly backend: WebGPUBackend) {
    this.opened = backend as unknown as Opened;
  }

  get device(): GPUDevice {
    return this.opened.device;
  }

  input(tensor: TensorInfo): GPUBuffer {
    this.backend.uploadToGPU(tensor.dataId);
    return this.backend.tensorMap.get(tensor.dataId).resource as GPUBuffer;
  }

  output(shape: number[], dtype: DataType): { readonly info: TensorInfo; readonly buffer: GPUBuffer } {
    const info = this.backend.makeTensorInfo(shape, dtype);
    this.outputs.push(info);
    return { info, buffer: this.input(info) };
  }

  /** A buffer of at least `bytes`, its contents undefined. */
  scratch(bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const pooled = bytes <= POOLED_BYTES;
    const size =
      bytes <= ROUNDED_BYTES ? 2 ** Math.max(4, Math.ceil(Math.log2(bytes))) : Math.ceil(bytes / 4) * 4;
    const buffer = this.backend.bufferManager.acquireBuffer(size, usage, false, pooled);
    this.scratches.push({ buffer, pooled });
    return buffer;
  }

  /** Submits what `encode` records, after all that tfjs has recorded so far. */
  submit(encode: (encoder: GPUCommandEncoder) => void): void {
    this.opened.ensureCommandEncoderReady();
    this.opened.endComputePassEncoder();
    this.opened.submitQueue();
    const encoder = this.device.createCommandEncoder();
    encode(encoder);
    this.opened.queue.submit([encoder.finish()]);
  }

  /** Gives the scratch back. Commands already submitted still find it. */
  release(): void {
    boundPool(this.backend.bufferManager as unknown as BufferPool);
    for (const { buffer, pooled } of this.scratches.splice(0)) {
      this.backend.bufferManager.releaseBuffer(buffer, pooled);
    }
  }

  /** Disposes the outputs too: for an operation that failed. */
  abandon(): void {
    for (const info of this.outputs.splice(0)) {
      this.backend.disposeData(info.dataId);
    }
    this.release();
  }
}
