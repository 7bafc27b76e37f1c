/** What the fused ops have in common: their plans are kept, and they have gradients, which have none. */
import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import { Recent } from '../hashing/recent.js';
import type { Kernels } from '../webgpu/kernels.js';
import { type DeviceBuffers, type Program, runProgram } from '../webgpu/program.js';
import { type DeviceTraits, withSubgroups } from '../webgpu/traits.js';
import type { RowsPlan } from './batches.js';

/** What a gradient must know of the call. */
export interface Called<Plan> {
  readonly plan: Plan;
  readonly door: Door;
}

/** The plans of the last calls: a model repeats a few of them. */
const plans = new Recent<Program>(128);

/** Runs an op as `planOn` plans it for the device, or has planned it for a call of the same name and facts. */
export function runPlanned(
  name: string,
  facts: readonly unknown[],
  kernels: Kernels,
  planOn: (traits: DeviceTraits) => RowsPlan,
  inputs: object,
  door: Door,
  deviceBuffers?: DeviceBuffers,
): Tensor[] {
  const traits = door.device();
  const key = JSON.stringify([name, facts, traits]);
  const plan = plans.get(key, () => ({ ...planOn(traits), key, kernels: withSubgroups(kernels) }));
  return runProgram(name, plan, inputs, { plan, door } satisfies Called<Program>, deviceBuffers);
}

/** Registers the gradient of an op that makes `out` and `lse`, once; `tensors` are its inputs by name, and those two. */
export function registerGradientOf<Plan>(
  name: string,
  inputsToSave: string[],
  gradient: (dys: Tensor[], tensors: Tensor[], called: Called<Plan>) => NamedTensorMap,
): void {
  if (tf.getGradient(name) !== undefined) {
    return;
  }
  tf.registerGradient({
    ...{ kernelName: name, inputsToSave, outputsToSave: [true, true] },
    gradFunc: (dys, saved, attrs) => {
      const slopes = gradient(dys as Tensor[], saved, attrs as unknown as Called<Plan>);
      return Object.fromEntries(Object.entries(slopes).map(([input, slope]) => [input, () => slope]));
    },
  });
  tf.registerGradient({
    kernelName: `${name}Gradient`,
    gradFunc: (_dys, _saved, attrs) => {
      const { door } = attrs as unknown as Called<Plan>;
      throw door.failure('there are no second derivatives on the webgpu backend. Take them on cpu.');
    },
  });
}
