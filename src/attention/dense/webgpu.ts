import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import { withFloatBuffers } from '../../webgpu/backend.js';
import type { DeviceTraits } from '../../webgpu/traits.js';
import { detach } from '../detach.js';
import { denseKernels } from '../kernels.js';
import type { AttentionWithLse } from '../lshAttention.js';
import { type Called, registerGradientOf, runPlanned } from '../ops.js';
import { padded } from '../settings.js';
import { rowsOf, unpadded } from '../webgpu.js';
import { type DenseOpName, type DensePlan, densePlan } from './passes.js';
import type { DenseSettings, DenseShape } from './settings.js';

/** What attends, by the names of the plan's buffers. */
export interface DenseInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Laid out as the settings say. */
  readonly mask?: Tensor;
}

/** Outputs of shapes `[B, H, L, E]` and `[B, H, L]`; differentiable in q, k and v. */
export function denseOnWebGPU(
  { q, k, v, mask }: DenseInputs,
  { B, H, L, Lk, D, E }: DenseShape,
  settings: DenseSettings,
  door: Door,
): AttentionWithLse {
  registerGradientOf('DenseAttention', ['q', 'k', 'v', 'mask'], denseSlopes);
  const shape = { ...padded({ B, H, L, D, E }), Lk };
  const inputs = {
    ...withFloatBuffers({
      q: rowsOf(q, [B, H, L, D], shape.D),
      k: rowsOf(k, [B, H, Lk, D], shape.D),
      v: rowsOf(v, [B, H, Lk, E], shape.E),
    }),
    // tfjs saves every input that the gradient names: without a mask, one that costs nothing.
    mask: mask ?? detach(q),
  };
  const [out, lse] = run('DenseAttention', inputs, shape, settings, door) as [Tensor, Tensor];
  return { out: unpadded(out, [B, H, L, E]), lse };
}

function run(
  name: DenseOpName,
  inputs: NamedTensorMap,
  shape: DenseShape,
  settings: DenseSettings,
  door: Door,
): Tensor[] {
  const maskSize = settings.mask === undefined ? 0 : (inputs.mask as Tensor).size;
  const planOn = (traits: DeviceTraits) => densePlan(name, shape, settings, 4 * maskSize, traits, door);
  return runPlanned(name, [shape, settings, maskSize], denseKernels, planOn, inputs, door);
}

function denseSlopes(
  [grad, lseGrad]: Tensor[],
  [q, k, v, mask, out, lse]: Tensor[],
  { plan: { shape, settings }, door }: Called<DensePlan>,
) {
  const inputs = { ...withFloatBuffers({ q, k, v, out, lse, grad, lseGrad }), mask };
  const [dq, dk, dv] = run('DenseAttentionGradient', inputs as NamedTensorMap, shape, settings, door);
  return { q: dq as Tensor, k: dk as Tensor, v: dv as Tensor };
}
