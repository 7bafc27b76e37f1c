import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import { Recent } from '../../hashing/recent.js';
import { withFloatBuffers } from '../../webgpu/backend.js';
import { type Program, runProgram } from '../../webgpu/program.js';
import { withSubgroups } from '../../webgpu/traits.js';
import { detach } from '../detach.js';
import { denseKernels } from '../kernels.js';
import type { AttentionWithLse } from '../lshAttention.js';
import { padded } from '../settings.js';
import { rowsOf } from '../webgpu.js';
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
  registerGradients();
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
  const [out, lse] = run('DenseAttention', inputs, shape, settings, mask?.size ?? 0, door) as [
    Tensor,
    Tensor,
  ];
  return { out: shape.E === E ? out : tf.slice(out, [0, 0, 0, 0], [B, H, L, E]), lse };
}

/** What the gradient must know of the call. */
interface Attributes {
  readonly plan: DensePlan;
  readonly maskSize: number;
  readonly door: Door;
}

/** The plans of the last calls: a model repeats a few of them. */
const plans = new Recent<DensePlan & Program>(64);

function run(
  name: DenseOpName,
  inputs: object,
  shape: DenseShape,
  settings: DenseSettings,
  maskSize: number,
  door: Door,
): Tensor[] {
  const traits = door.device();
  const key = JSON.stringify([name, shape, settings, maskSize, traits]);
  const plan = plans.get(key, () => ({
    ...densePlan(name, shape, settings, 4 * maskSize, traits, door),
    ...{ key, kernels: withSubgroups(denseKernels) },
  }));
  return runProgram(name, plan, inputs, { plan, maskSize, door } satisfies Attributes);
}

function registerGradients(): void {
  if (tf.getGradient('DenseAttention') !== undefined) {
    return;
  }
  tf.registerGradient({
    kernelName: 'DenseAttention',
    inputsToSave: ['q', 'k', 'v', 'mask'],
    outputsToSave: [true, true],
    gradFunc: (dys, saved, attrs) => {
      const { plan, maskSize, door } = attrs as unknown as Attributes;
      const [grad, lseGrad] = dys as Tensor[];
      const [q, k, v, mask, out, lse] = saved as Tensor[];
      const inputs = { ...withFloatBuffers({ q, k, v, out, lse, grad, lseGrad }), mask };
      const [dq, dk, dv] = run('DenseAttentionGradient', inputs, plan.shape, plan.settings, maskSize, door);
      return { q: () => dq as Tensor, k: () => dk as Tensor, v: () => dv as Tensor };
    },
  });
  tf.registerGradient({
    kernelName: 'DenseAttentionGradient',
    gradFunc: (_dys, _saved, attrs) => {
      const { door } = attrs as unknown as Attributes;
      throw door.failure(
        'there are no second derivatives on the webgpu backend. Take them on another, such as cpu.',
      );
    },
  });
}
