import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import { hadamardSigns } from '../hashing/hadamard.js';
import { Recent } from '../hashing/recent.js';
import { gaussianRotations, rotationKey } from '../hashing/rotations.js';
import { withFloatBuffers } from '../webgpu/backend.js';
import { PerDevice } from '../webgpu/kept.js';
import type { Kernels } from '../webgpu/kernels.js';
import type { DeviceBuffers } from '../webgpu/program.js';
import type { DeviceTraits } from '../webgpu/traits.js';
import { attendKernels, hashKernels, sortKernels } from './kernels.js';
import { type Called, registerGradientOf, runPlanned } from './ops.js';
import { attentionOp, bucketsOp, gradientOp, type Op } from './passes.js';
import { type OpPlan, planOp } from './plan.js';
import { type AttentionInputs, type HashInputs, padded, type Settings, type Shape } from './settings.js';

/** Bucket ids `[B, H, R, L]`. */
export function bucketsOnWebGPU(inputs: HashInputs, shape: Shape, settings: Settings, door: Door): Tensor {
  const name = settings.hadamard ? 'signs' : 'rotations';
  const given = inputs.rotations !== undefined;
  const deviceBuffers: DeviceBuffers = (device) => (given ? {} : { [name]: drawn(device, shape, settings) });
  return run(bucketsOp, hashKernels, inputs, shape, settings, door, deviceBuffers)[0] as Tensor;
}

/** `[out, lse]` of shapes `[B, H, L, E]` and `[B, H, L]`; differentiable. */
export function attentionOnWebGPU(
  { qk, v, buckets }: AttentionInputs,
  { B, H, L, D, E }: Shape,
  settings: Settings,
  door: Door,
): Tensor[] {
  registerGradientOf(attentionOp.name, ['qk', 'v', 'buckets'], attentionSlopes);
  // Gradients have the shapes of what the kernel was given: all four axes, padded.
  const shape = padded({ B, H, L, D, E });
  const inputs = { qk: rowsOf(qk, [B, H, L, D], shape.D), v: rowsOf(v, [B, H, L, E], shape.E), buckets };
  const [out, lse] = run(attentionOp, attentionKernels(), inputs, shape, settings, door) as [Tensor, Tensor];
  return [unpadded(out, [B, H, L, E]), lse];
}

/** A tensor with four axes, the last padded with zeros. */
export function rowsOf(tensor: Tensor, axes: [number, number, number, number], depth: number): Tensor {
  const rows = tf.reshape(tensor, axes);
  const more = depth - axes[3];
  return more === 0
    ? rows
    : tf.pad(rows, [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, more],
      ]);
}

/** What {@link rowsOf} has padded, as it was. */
export function unpadded(rows: Tensor, axes: [number, number, number, number]): Tensor {
  return rows.shape[3] === axes[3] ? rows : tf.slice(rows, [0, 0, 0, 0], axes);
}

function attentionKernels(): Kernels {
  return { ...sortKernels, ...attendKernels };
}

function run(
  op: Op,
  kernels: Kernels,
  inputs: object,
  shape: Shape,
  settings: Settings,
  door: Door,
  deviceBuffers?: DeviceBuffers,
): Tensor[] {
  const planOn = (traits: DeviceTraits) => planOp(op, shape, settings, traits, door);
  return runPlanned(op.name, [shape, settings], kernels, planOn, inputs, door, deviceBuffers);
}

function attentionSlopes(
  [grad, lseGrad]: Tensor[],
  [qk, v, buckets, out, lse]: Tensor[],
  { plan: { shape, settings }, door }: Called<OpPlan>,
) {
  const inputs = withFloatBuffers({ qk, v, buckets, out, lse, grad, lseGrad });
  const [dqk, dv] = run(gradientOp, attentionKernels(), inputs, shape, settings, door);
  return { qk: dqk as Tensor, v: dv as Tensor };
}

const KEPT_ON_A_DEVICE = 4;
const drawnOn = new PerDevice(() => new Recent<GPUBuffer>(KEPT_ON_A_DEVICE, (old) => old.destroy()));

/** The rotations or signs of a seed on the device: uploaded once, the last few kept. */
function drawn(device: GPUDevice, { H, D }: Shape, { R, F, seed, hadamard }: Settings): GPUBuffer {
  const shape = { H, D, R, F };
  const label = hadamard ? 'signs' : 'rotations';
  return drawnOn.of(device).get(`${label} ${rotationKey(shape, seed)}`, () => {
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
