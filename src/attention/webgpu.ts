import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { KernelFunc, NamedAttrMap, NamedTensorMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { gaussianRotations, type RotationShape, rotationKey } from '../hashing/rotations.js';
import { BACKEND, BufferScope } from '../webgpu/backend.js';
import { type Binding, type BoundPass, recordPasses, UNIFORM_SLOT } from '../webgpu/dispatch.js';
import { kernels } from '../webgpu/kernels.js';
import type { AttentionPlan } from './plan.js';
import type { Inputs, Settings, Shape } from './settings.js';

type OpName = 'LshAttention' | 'LshBuckets';
type OutputSpecs = Readonly<
  Record<string, { readonly shape: number[]; readonly dtype: 'float32' | 'int32' }>
>;

/** What each tfjs kernel of this package returns, by the names of the plan's buffers. */
const OUTPUTS: Record<OpName, (shape: Shape, settings: Settings) => OutputSpecs> = {
  LshAttention: ({ B, H, L, E }) => ({
    out: { shape: [B, H, L, E], dtype: 'float32' },
    lse: { shape: [B, H, L], dtype: 'float32' },
  }),
  LshBuckets: ({ B, H, L }, { R }) => ({
    buckets: { shape: [B, H, R, L], dtype: 'int32' },
  }),
};

/** Runs a tfjs kernel of this package, by its plan, on the current WebGPU backend. */
export function runOnWebGPU(name: OpName, inputs: Inputs, plan: AttentionPlan): Tensor[] {
  if (tf.getKernel(name, BACKEND) === undefined) {
    tf.registerKernel({ kernelName: name, backendName: BACKEND, kernelFunc: kernelFunc(name) });
  }
  return tf
    .engine()
    .runKernel(
      name,
      inputs as unknown as NamedTensorMap,
      { plan } as unknown as NamedAttrMap,
    ) as unknown as Tensor[];
}

function kernelFunc(name: OpName): KernelFunc {
  return ({ inputs, backend, attrs }) => {
    const { plan } = attrs as unknown as { plan: AttentionPlan };
    const scope = new BufferScope(backend as WebGPUBackend);
    try {
      const outputs = OUTPUTS[name](plan.shape, plan.settings);
      return execute(plan, inputs as Record<string, TensorInfo>, outputs, scope);
    } catch (error) {
      scope.abandon();
      throw error;
    }
  };
}

/** Finds or makes every buffer of a plan, and submits its passes. */
function execute(
  plan: AttentionPlan,
  inputs: Readonly<Record<string, TensorInfo>>,
  outputs: OutputSpecs,
  scope: BufferScope,
): TensorInfo[] {
  const buffers: Record<string, GPUBuffer> = {};
  const infos: TensorInfo[] = [];
  for (const [name, tensor] of Object.entries(inputs)) {
    buffers[name] = scope.input(tensor);
  }
  for (const [name, { shape, dtype }] of Object.entries(outputs)) {
    const { info, buffer } = scope.output(shape, dtype);
    infos.push(info);
    buffers[name] = buffer;
  }
  for (const [name, bytes] of Object.entries(plan.scratch)) {
    buffers[name] = scope.scratch(bytes, GPUBufferUsage.STORAGE);
  }
  if (plan.settings.hashed) {
    buffers.rotations ??= drawnRotations(scope.device, plan.shape, plan.settings);
  }
  const uniforms = scope.scratch(
    plan.dispatches * UNIFORM_SLOT,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  );
  const passes = plan.batches.flatMap(({ parts, passes }) =>
    passes.map((pass): BoundPass => {
      const bindings = Object.keys(kernels[pass.kernel].buffers).map((binding) => {
        const name = pass.aliases[binding] ?? binding;
        return [binding, { buffer: buffers[name] as GPUBuffer, ...parts[name] } satisfies Binding];
      });
      return { ...pass, bindings: Object.fromEntries(bindings) };
    }),
  );
  scope.submit((encoder) => recordPasses(scope.device, encoder, passes, uniforms));
  scope.release();
  return infos;
}

const CACHED_ROTATIONS = 4;
const rotationBuffers = new WeakMap<GPUDevice, Map<string, GPUBuffer>>();

/** The rotations of a seed on the device: uploaded once, the last few kept. */
function drawnRotations(device: GPUDevice, { H, D }: Shape, { R, F, seed }: Settings): GPUBuffer {
  const shape: RotationShape = { H, D, R, F };
  const cache = rotationBuffers.get(device) ?? new Map<string, GPUBuffer>();
  rotationBuffers.set(device, cache);
  const key = rotationKey(shape, seed);
  let buffer = cache.get(key);
  if (buffer === undefined) {
    const values = gaussianRotations(shape, seed);
    buffer = device.createBuffer({
      label: 'rotations',
      size: values.byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  }
  cache.delete(key);
  cache.set(key, buffer);
  for (const [oldest, old] of cache) {
    if (cache.size <= CACHED_ROTATIONS) {
      break;
    }
    old.destroy();
    cache.delete(oldest);
  }
  return buffer;
}
