import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type Door, show } from '../door.js';
import type { ReformerConfig } from './config.js';
import { initialValues } from './initialise.js';
import { parameterShapes } from './parameters.js';

/** What transformers 4 calls `lm_head.bias` a second time. */
export const BIAS_AGAIN = 'lm_head.decoder.bias';

/** tfjs wants a name only once; models have theirs in common. */
let models = 0;

/** A model's variables, drawn from `seed` or copies of what is given and checked. */
export function makeVariables(
  config: ReformerConfig,
  seed: number,
  given: ReadonlyMap<string, Tensor> | undefined,
): Map<string, Variable> {
  const shapes = parameterShapes(config);
  const model = `reformer_${++models}`;
  const variables = new Map<string, Variable>();
  for (const [place, [name, shape]] of [...shapes].entries()) {
    const initial = () =>
      given?.get(name) ?? tf.tensor(initialValues(name, shape, place, config, seed), [...shape], 'float32');
    // A variable shares its first tensor's data, which nothing changes.
    variables.set(
      name,
      tf.tidy(() => tf.variable(initial(), true, `${model}/${name}`)),
    );
  }
  return variables;
}

/** Refuses what is no map from names to tensors. */
export function checkNames<T>(
  door: Door,
  option: string,
  given: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  if (!(given instanceof Map)) {
    throw door.kind(`\`${option}\` must be a Map from names to tensors, got ${show(given)}.`);
  }
  return given;
}

/** Refuses parameters that are missing, extra or misshapen. */
export function checkGiven(
  door: Door,
  option: string,
  config: ReformerConfig,
  given: ReadonlyMap<string, Tensor>,
): void {
  const shapes = parameterShapes(config);
  checkNames(door, option, given);
  for (const [name, shape] of shapes) {
    const tensor = given.get(name);
    if (tensor === undefined) {
      throw door.range(`\`${option}\` must have '${name}', of the shape [${shape}], which is missing.`);
    }
    door.tensor(`${option}['${name}']`, tensor, ['float32']);
    if (tensor.shape.join() !== shape.join()) {
      throw door.range(
        `\`${option}['${name}']\` must have the shape [${shape}], got [${tensor.shape}]. Do the weights belong to this configuration?`,
      );
    }
  }
  for (const name of given.keys()) {
    if (!shapes.has(name) && name !== BIAS_AGAIN) {
      throw door.range(
        `\`${option}\` has '${name}', which no part of the model is called. Leave it out, or correct \`architectures\`.`,
      );
    }
  }
}
