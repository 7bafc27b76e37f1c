import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { KernelFunc, NamedAttrMap, NamedTensorMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { hadamardSigns } from '../hashing/hadamard.js';
import { Recent } from '../hashing/recent.js';
import { gaussianRotations, rotationKey } from '../hashing/rotations.js';
import { BACKEND, BufferScope, currentDevice, withFloatBuffers } from '../webgpu/backend.js';
import { type Binding, type BoundPass, recordPasses, UNIFORM_SLOT } from '../webgpu/dispatch.js';
import { kernels } from '../webgpu/kernels.js';
import type { OpName } from './passes.js';
import { type OpPlan, planOp } from './plan.js';
import type { AttentionInputs, HashInputs, Settings, Shape } from './settings.js';
import type { Door } from './validate.js';

type OutputSpecs = Readonly<
  Record<string, { readonly shape: number[]; readonly dtype: 'float32' | 'int32' }>
>;

/** What each tfjs kernel of this package returns, by the names of the plan's buffers. */
const OUTPUTS: Record<OpName, (shape: Shape, settings: Settings) => OutputSpecs> = {
  LshBuckets: ({ B, H, L }, { R }) => ({
    buckets: { shape: [B, H, R, L], dtype: 'int32' },
  }),
  LshAttention: ({ B, H, L, E }) => ({
    out: { shape: [B, H, L, E], dtype: 'float32' },
    lse: { shape: [B, H, L], dtype: 'float32' },
  }),
  LshAttentionGradient: ({ B, H, L, D, E }) => ({
    dqk: { shape: [B, H, L, D], dtype: 'float32' },
    dv: { shape: [B, H, L, E], dtype: 'float32' },
  }),
};

/** Bucket ids `[B, H, R, L]`. */
export function bucketsOnWebGPU(inputs: HashInputs, shape: Shape, settings: Settings, door: Door): Tensor {
  return run('LshBuckets', inputs, shape, settings, door)[0] as Tensor;
}

/** `[out, lse]` of shapes `[B, H, L, E]` and `[B, H, L]`; differentiable. */
export function attentionOnWebGPU(
  { qk, v, buckets }: AttentionInputs,
  { B, H, L, D, E }: Shape,
  settings: Settings,
  door: Door,
): Tensor[] {
  // Gradients have the shapes of what the kernel was given: all four axes.
  const inputs = { qk: tf.reshape(qk, [B, H, L, D]), v: tf.reshape(v, [B, H, L, E]), buckets };
  return run('LshAttention', inputs, { B, H, L, D, E }, settings, door);
}

interface Attributes {
  readonly plan: OpPlan;
  readonly door: Door;
}

function run(name: OpName, inputs: object, shape: Shape, settings: Settings, door: Door): Tensor[] {
  register();
  const plan = planOp(name, shape, settings, currentDevice().limits, door);
  return tf
    .engine()
    .runKernel(
      name,
      inputs as NamedTensorMap,
      { plan, door } satisfies Attributes as unknown as NamedAttrMap,
    ) as unknown as Tensor[];
}

/** Makes the kernels and their gradients known to tfjs, on first use. */
function register(): void {
  if (tf.getKernel('LshAttention', BACKEND) !== undefined) {
    return;
  }
  for (const name of Object.keys(OUTPUTS) as OpName[]) {
    tf.registerKernel({ kernelName: name, backendName: BACKEND, kernelFunc: kernelFunc(name) });
  }
  tf.registerGradient({
    kernelName: 'LshAttention',
    inputsToSave: ['qk', 'v', 'buckets'],
    outputsToSave: [true, true],
    gradFunc: (dys, [qk, v, buckets, out, lse], attrs) => {
      const { plan, door } = attrs as unknown as Attributes;
      const [grad, lseGrad] = dys as Tensor[];
      const inputs = withFloatBuffers({ qk, v, buckets, out, lse, grad, lseGrad });
      const [dqk, dv] = run('LshAttentionGradient', inputs, plan.shape, plan.settings, door);
      return { qk: () => dqk as Tensor, v: () => dv as Tensor };
    },
  });
  tf.registerGradient({
    kernelName: 'LshAttentionGradient',
    gradFunc: (_dys, _saved, attrs) => {
      const { door } = attrs as unknown as Attributes;
      throw door.failure(
        'there are no second derivatives on the webgpu backend. Take them on another, such as cpu.',
      );
    },
  });
}

function kernelFunc(name: OpName): KernelFunc {
  return ({ inputs, backend, attrs }) => {
    const { plan } = attrs as unknown as Attributes;
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
  plan: OpPlan,
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
  if (plan.name === 'LshBuckets') {
    const { shape, settings } = plan;
    buffers[settings.hadamard ? 'signs' : 'rotations'] ??= drawn(scope.device, shape, settings);
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

const KEPT_ON_A_DEVICE = 4;
const drawnOn = new WeakMap<GPUDevice, Recent<GPUBuffer>>();

/** The rotations or signs of a seed on the device: uploaded once, the last few kept. */
function drawn(device: GPUDevice, { H, D }: Shape, { R, F, seed, hadamard }: Settings): GPUBuffer {
  const recent = drawnOn.get(device) ?? new Recent<GPUBuffer>(KEPT_ON_A_DEVICE, (old) => old.destroy());
  drawnOn.set(device, recent);
  const shape = { H, D, R, F };
  const label = hadamard ? 'signs' : 'rotations';
  return recent.get(`${label} ${rotationKey(shape, seed)}`, () => {
    const values = hadamard ? hadamardSigns(shape, seed) : gaussianRotations(shape, seed);
    const buffer = device.createBuffer({
      label,
      size: values.byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
    return buffer;
  });
}
