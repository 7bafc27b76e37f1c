import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { NamedAttrMap, NamedTensorMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Recent } from '../hashing/recent.js';
import { BACKEND, BufferScope } from './backend.js';
import { type BoundPass, PassSequence } from './dispatch.js';
import { PerDevice } from './kept.js';
import { type Kernels, type Pass, signatureOf } from './kernels.js';

/** Where rows lie in a buffer: a part that one binding can hold. */
export interface Part {
  readonly offset: number;
  readonly size: number;
}

/** Passes that bind the same parts. */
export interface Batch {
  /** By buffer name; a buffer that is not named is bound whole. */
  readonly parts: Readonly<Record<string, Part>>;
  readonly passes: readonly Pass[];
}

/** A tensor to be made. */
export interface OutputSpec {
  readonly shape: number[];
  readonly dtype: 'float32' | 'int32';
}

/** Work on the GPU as data: what it makes, what it needs meanwhile, and its passes. */
export interface Program {
  /** Programs of one key are one program: its passes stay ready for the next run. */
  readonly key?: string;
  /** Tensors that it makes, by the names of their buffers. */
  readonly outputs: Readonly<Record<string, OutputSpec>>;
  /** Bytes of each buffer that lives for the work alone. */
  readonly scratch: Readonly<Record<string, number>>;
  /** Outputs that must be zero before. */
  readonly cleared?: readonly string[];
  readonly batches: readonly Batch[];
  /** The kernels of its passes, among others. */
  readonly kernels: Kernels;
}

/** Buffers that belong to a device, not to a call. */
export type DeviceBuffers = (device: GPUDevice) => Readonly<Record<string, GPUBuffer>>;

/** Who asks for the work, in whose name it fails. */
export interface Asker {
  failure(message: string, options?: ErrorOptions): Error;
}

interface Attributes {
  readonly program: Program;
  readonly deviceBuffers: DeviceBuffers;
  readonly door: Asker;
}

/**
 * Runs a program as a kernel of tfjs, registered on first use: tfjs moves the inputs' data, keeps count
 * of memory, and owns the outputs. `attributes` go to the gradient, if one is registered for `name`. Work that fails leaves
 * nothing behind.
 */
export function runProgram<Given extends { readonly door: Asker }>(
  name: string,
  program: Program,
  inputs: object,
  attributes: Given,
  deviceBuffers: DeviceBuffers = () => ({}),
): Tensor[] {
  if (tf.getKernel(name, BACKEND) === undefined) {
    tf.registerKernel({
      kernelName: name,
      backendName: BACKEND,
      kernelFunc: ({ inputs, backend, attrs }) => {
        const { program, deviceBuffers, door } = attrs as unknown as Attributes;
        const scope = new BufferScope(backend as WebGPUBackend);
        try {
          const others = deviceBuffers(scope.device);
          return execute(program, { ...others }, inputs as Record<string, TensorInfo>, scope);
        } catch (error) {
          scope.abandon();
          throw door.failure(
            `the device did not take the work: ${(error as Error).message}. Dispose tensors, of which tf.memory() tells, or use a smaller batch or a shorter length.`,
            { cause: error },
          );
        }
      },
    });
  }
  const attrs = { ...attributes, program, deviceBuffers } satisfies Attributes as unknown as NamedAttrMap;
  return tf.engine().runKernel(name, inputs as NamedTensorMap, attrs) as unknown as Tensor[];
}

/** Finds or makes every buffer of a program, and submits its passes. */
function execute(
  program: Program,
  buffers: Record<string, GPUBuffer>,
  inputs: Readonly<Record<string, TensorInfo>>,
  scope: BufferScope,
): TensorInfo[] {
  const { outputs, scratch, cleared = [] } = program;
  for (const [name, tensor] of Object.entries(inputs)) {
    buffers[name] = scope.input(tensor);
  }
  const infos = Object.entries(outputs).map(([name, { shape, dtype }]) => {
    const { info, buffer } = scope.output(shape, dtype);
    buffers[name] = buffer;
    return info;
  });
  for (const [name, bytes] of Object.entries(scratch)) {
    buffers[name] = scope.scratch(bytes, GPUBufferUsage.STORAGE);
  }
  const { sequence, kept } = sequenceOf(scope.device, program);
  try {
    scope.submit((encoder) => {
      for (const name of cleared) {
        encoder.clearBuffer(buffers[name] as GPUBuffer);
      }
      sequence.record(encoder, buffers);
    });
  } finally {
    if (!kept) {
      sequence.dispose();
    }
  }
  scope.release();
  return infos;
}

/** Programs whose passes stay ready on a device. */
const KEPT_ON_A_DEVICE = 64;
const sequences = new PerDevice(() => new Recent(KEPT_ON_A_DEVICE, (old: PassSequence) => old.dispose()));

function sequenceOf(
  device: GPUDevice,
  { batches, kernels, key }: Program,
): { readonly sequence: PassSequence; readonly kept: boolean } {
  const make = () =>
    new PassSequence(
      device,
      batches.flatMap((batch) => boundPasses(batch, kernels)),
    );
  if (key === undefined) {
    return { sequence: make(), kept: false };
  }
  return { sequence: sequences.of(device).get(key, make), kept: true };
}

function boundPasses({ parts, passes }: Batch, kernels: Kernels): BoundPass[] {
  return passes.map((pass) => {
    const code = kernels[pass.kernel] as string;
    const bindings = Object.keys(signatureOf(code).buffers).map((binding) => {
      const name = pass.aliases[binding] ?? binding;
      return [binding, { name, ...parts[name] }];
    });
    return { ...pass, code, bindings: Object.fromEntries(bindings) };
  });
}
