import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { NamedAttrMap, NamedTensorMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { BACKEND, BufferScope } from './backend.js';
import { type Binding, type BoundPass, recordPasses, UNIFORM_SLOT } from './dispatch.js';
import { kernels, type Pass } from './kernels.js';

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
  readonly outputs: Readonly<Record<string, OutputSpec>>;
  /** Bytes of each buffer that lives for the work alone. */
  readonly scratch: Readonly<Record<string, number>>;
  /** Outputs that must be zero before. */
  readonly cleared?: readonly string[];
  readonly batches: readonly Batch[];
}

/** Buffers that belong to a device, not to a call. */
export type DeviceBuffers = (device: GPUDevice) => Readonly<Record<string, GPUBuffer>>;

interface Attributes {
  readonly program: Program;
  readonly deviceBuffers: DeviceBuffers;
}

/**
 * Runs a program as a kernel of tfjs, registered on first use: tfjs moves the inputs' data, keeps count
 * of memory, and owns the outputs. `attributes` go to the gradient, if one is registered for `name`.
 */
export function runProgram(
  name: string,
  program: Program,
  inputs: object,
  attributes: object = {},
  deviceBuffers: DeviceBuffers = () => ({}),
): Tensor[] {
  if (tf.getKernel(name, BACKEND) === undefined) {
    tf.registerKernel({
      kernelName: name,
      backendName: BACKEND,
      kernelFunc: ({ inputs, backend, attrs }) => {
        const { program, deviceBuffers } = attrs as unknown as Attributes;
        const scope = new BufferScope(backend as WebGPUBackend);
        try {
          const others = deviceBuffers(scope.device);
          return execute(program, { ...others }, inputs as Record<string, TensorInfo>, scope);
        } catch (error) {
          scope.abandon();
          throw error;
        }
      },
    });
  }
  const attrs = { ...attributes, program, deviceBuffers } satisfies Attributes as unknown as NamedAttrMap;
  return tf.engine().runKernel(name, inputs as NamedTensorMap, attrs) as unknown as Tensor[];
}

/** Finds or makes every buffer of a program, and submits its passes. */
function execute(
  { outputs, scratch, cleared = [], batches }: Program,
  buffers: Record<string, GPUBuffer>,
  inputs: Readonly<Record<string, TensorInfo>>,
  scope: BufferScope,
): TensorInfo[] {
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
  const passes = batches.flatMap(({ parts, passes }) =>
    passes.map((pass): BoundPass => {
      const bindings = Object.keys(kernels[pass.kernel].buffers).map((binding) => {
        const name = pass.aliases[binding] ?? binding;
        return [binding, { buffer: buffers[name] as GPUBuffer, ...parts[name] } satisfies Binding];
      });
      return { ...pass, bindings: Object.fromEntries(bindings) };
    }),
  );
  const uniforms = scope.scratch(
    Math.max(1, passes.length) * UNIFORM_SLOT,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  );
  scope.submit((encoder) => {
    for (const name of cleared) {
      encoder.clearBuffer(buffers[name] as GPUBuffer);
    }
    if (passes.length > 0) {
      recordPasses(scope.device, encoder, passes, uniforms);
    }
  });
  scope.release();
  return infos;
}
