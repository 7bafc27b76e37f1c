import type { Door } from '../../door.js';
import { isFloat } from '../../storage/safetensors.js';
import type { ParameterShapes } from '../parameters.js';
import { BIAS_AGAIN } from '../variables.js';
import type { WeightsFile } from './contents.js';
import { CONFIG } from './layout.js';

/** Tensors of a kind that an error lists before it counts. */
const MOST_LISTED = 5;
/** Constants of the attention layers, which earlier versions of transformers saved with the weights. */
const CONSTANT = /\.(self_)?mask_value_float(16|32)$/;
/** transformers 4 has the head's bias under two names, and saves it under one of them or both. */
const HEAD_BIAS = 'lm_head.bias';

/**
 * The model's parameter that each tensor of its files is, by the tensors' names.
 *
 * @throws Error that names what is missing, superfluous, in two files, or of another shape or kind.
 */
export function matchParameters(
  files: readonly WeightsFile[],
  shapes: ParameterShapes,
  place: string,
  door: Door,
): ReadonlyMap<string, string> {
  const tensors = files.flatMap(({ entries }) => [...entries]).filter(([name]) => !CONSTANT.test(name));
  const names = tensors.map(([name]) => name);
  const parameters = new Map(names.map((name) => [name, name === BIAS_AGAIN ? HEAD_BIAS : name]));
  const present = new Set(parameters.values());
  const expected = (name: string) => shapes.get(parameters.get(name) as string);

  const problems = {
    missing: [...shapes.keys()].filter((parameter) => !present.has(parameter)),
    'not of this model': tensors.filter(([name]) => !expected(name)).map(([name]) => name),
    'in two files': names.filter((name, i) => names.indexOf(name) !== i),
    'of another shape': tensors
      .filter(([name, { shape }]) => expected(name) && expected(name)?.join() !== shape.join())
      .map(([name, { shape }]) => `${name} [${shape}] for [${expected(name)}]`),
    'no floats': tensors
      .filter(([name, { dtype }]) => expected(name) && !isFloat(dtype))
      .map(([name, { dtype }]) => `${name} ${dtype}`),
  };
  const said = Object.entries(problems).filter(([, list]) => list.length > 0);
  if (said.length > 0) {
    const listed = said.map(([problem, list]) => `${list.length} ${problem} (${listing(list)})`).join('; ');
    throw door.failure(
      `the weights in ${place} are not those of the model in its ${CONFIG}: ${listed}. Give both from the same model.`,
    );
  }
  return parameters;
}

function listing(names: readonly string[]): string {
  const more = names.length - MOST_LISTED;
  return names.slice(0, MOST_LISTED).join(', ') + (more > 0 ? `, and ${more} more` : '');
}
