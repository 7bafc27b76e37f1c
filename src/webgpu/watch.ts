/**
 * What happens to a device, and tfjs takes no notice of: it is lost, it is replaced, or it refuses a command or has no
 * memory for it. Who asks is told, and reading a tensor fails where else it would give zeros.
 */
import type { BackendValues, DataId, KernelBackend, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { BACKEND } from './backend.js';
import { forgetKept } from './kept.js';
import { type BufferPool, distrustPool } from './pool.js';

/** What is asked of a WebGPU backend here; its declarations hide some of it. */
interface Watched extends KernelBackend {
  readonly device: GPUDevice;
  readonly disposed: boolean;
  readonly bufferManager: BufferPool;
  readonly tensorMap: { get(dataId: DataId): { readonly values?: BackendValues | null } | undefined };
}

/** A tensor on its way from the device, and what the device has complained of meanwhile. */
interface Reading {
  complaint?: GPUError | undefined;
}

/** The way out where two copies of a package of tfjs are loaded. */
export function dedupe(name: 'tfjs-core' | 'tfjs-layers'): string {
  return `\`npm ls @tensorflow/${name}\` lists the copies; one version for all and \`npm dedupe\`, or resolve.dedupe of a bundler, leave one.`;
}

const WAY_OUT =
  "Start anew with useWebGPU() or useOwnDevice(), or with tf.removeBackend('webgpu'), tf.registerBackend('webgpu', …) and tf.setBackend('webgpu'); then make its tensors, models and caches again.";

/** How long a read that failed waits for the news that the device is lost. Milliseconds. */
const NEWS = 1000;

const watched = new WeakSet<KernelBackend>();
/** How devices were lost. */
const losses = new WeakMap<GPUDevice, string>();
/** Tensors that cannot be trusted, and why. */
const spoilt = new WeakMap<DataId, string>();

/** Why a backend can do nothing any more, and the way out; undefined where it can. The first call begins to watch it. */
export function whyLost(backend: KernelBackend): string | undefined {
  if (!isWebGPU(backend)) {
    return undefined;
  }
  watch(backend);
  const loss = losses.get(backend.device);
  if (loss !== undefined) {
    return `the WebGPU device is lost (${loss}). ${WAY_OUT}`;
  }
  return backend.disposed
    ? "the 'webgpu' backend has been replaced since, and what was on it is gone. Make the tensors, models and caches again."
    : undefined;
}

/** Why a tensor has no values any more, or none here, and the way out; undefined where it has. */
export function whyUnusable({ dataId }: Tensor): string | undefined {
  const home = tf.engine().state.tensorInfo.get(dataId)?.backend;
  if (home === undefined) {
    return `it belongs to another engine of tfjs, which a second copy of @tensorflow/tfjs-core has made. ${dedupe('tfjs-core')}`;
  }
  return isWebGPU(home) && !isAtHand(home, dataId) ? whyLost(home) : undefined;
}

/** Removes tfjs's WebGPU backend where its device is lost: the next `tf.setBackend` makes another by the same factory. */
export async function forgetLostBackend(): Promise<void> {
  const backend = tf.engine().registry[BACKEND];
  if (backend === undefined || !isWebGPU(backend)) {
    return;
  }
  watch(backend);
  await noticed(backend.device, 0);
  if (losses.has(backend.device)) {
    const factory = tf.findBackendFactory(BACKEND);
    tf.removeBackend(BACKEND);
    tf.registerBackend(BACKEND, factory, 3);
  }
}

function watch(backend: Watched): void {
  if (watched.has(backend)) {
    return;
  }
  watched.add(backend);
  const { device } = backend;
  void device.lost.then(({ reason, message }) => {
    losses.set(device, [reason, message].filter(Boolean).join(': '));
  });
  const complaints = new Complaints();
  // The first of Dawn's bindings for Node had no events.
  device.addEventListener?.('uncapturederror', ({ error }) => {
    complaints.add(error);
    forgetKept(device);
    distrustPool(backend.bufferManager);
  });
  guardReads(backend, complaints);
}

/** What a device complains of, for those who read from it. */
class Complaints {
  private readonly inFlight = new Set<Reading>();
  /** What no reading was in flight to be told of. */
  private untold: GPUError | undefined;

  add(error: GPUError): void {
    for (const reading of this.inFlight) {
      reading.complaint = error;
    }
    this.untold = this.inFlight.size === 0 ? error : undefined;
  }

  begin(): Reading {
    const reading: Reading = { complaint: this.untold };
    this.untold = undefined;
    this.inFlight.add(reading);
    return reading;
  }

  end(reading: Reading): void {
    this.inFlight.delete(reading);
  }
}

/** Makes reading fail where there are no values to be had, and says why. */
function guardReads(backend: Watched, complaints: Complaints): void {
  const { device, read } = backend;
  backend.read = async (dataId) => {
    if (isAtHand(backend, dataId) && !spoilt.has(dataId)) {
      return read.call(backend, dataId);
    }
    refuse(backend, dataId);
    const reading = complaints.begin();
    try {
      const values = await read.call(backend, dataId);
      if (reading.complaint !== undefined) {
        spoilt.set(dataId, describe(reading.complaint));
      }
      refuse(backend, dataId);
      return values;
    } catch (error) {
      await noticed(device, NEWS);
      refuse(backend, dataId, { cause: error });
      throw error;
    } finally {
      complaints.end(reading);
    }
  };
}

function refuse(backend: Watched, dataId: DataId, options?: ErrorOptions): void {
  const why = spoilt.get(dataId) ?? whyLost(backend);
  if (why !== undefined) {
    throw new Error(`Tensor.data: ${why}`, options);
  }
}

function describe({ message, constructor: { name } }: GPUError): string {
  return name === 'GPUOutOfMemoryError'
    ? `the device had no memory for what led to these values (${message}). Dispose tensors, of which tf.memory() tells, or use a smaller batch or a shorter length.`
    : `the device refused what may have led to these values (${message}). Use a smaller batch, or a device of larger limits: useOwnDevice().`;
}

/** Lets the news of a loss come in, which follows its consequences: at once in Node, in Chromium after some time. */
function noticed(device: GPUDevice, milliseconds: number): Promise<unknown> {
  return Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, milliseconds))]);
}

function isAtHand({ tensorMap }: Watched, dataId: DataId): boolean {
  return tensorMap.get(dataId)?.values != null;
}

function isWebGPU(backend: KernelBackend): backend is Watched {
  return typeof (backend as Partial<Watched>).device?.lost?.then === 'function';
}
