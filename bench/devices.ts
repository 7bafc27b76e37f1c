/** Two devices of one adapter in one process, for measurements in turns. */
import type { KernelBackend } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // gradients
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { useOwnDevice } from 'tfjs-lsh-attention/webgpu';
import type { Variant } from './options.js';

const BACKEND = 'webgpu';

/** The members of tfjs's engine that name the backend in use. */
interface Engine {
  registry: Record<string, KernelBackend>;
  backendInstance: KernelBackend;
}

export class Devices {
  private constructor(
    readonly description: string,
    readonly features: readonly string[],
    private readonly backends: Readonly<Record<Variant, KernelBackend>>,
  ) {}

  /** Starts tfjs's own device, then an own one. */
  static async open(): Promise<Devices> {
    const { description } = await useWebGPU();
    const engine = tf.engine() as unknown as Engine;
    const plain = engine.registry[BACKEND] as KernelBackend;
    // Out of the register, so that the next device does not dispose of it.
    delete engine.registry[BACKEND];
    const { features } = await useOwnDevice();
    const best = engine.registry[BACKEND] as KernelBackend;
    return new Devices(description, features, { plain, best });
  }

  /** Operations run on this device from now on; a tensor stays on the device that made it. */
  use(variant: Variant): void {
    const engine = tf.engine() as unknown as Engine;
    const backend = this.backends[variant];
    engine.registry[BACKEND] = backend;
    engine.backendInstance = backend;
  }
}
