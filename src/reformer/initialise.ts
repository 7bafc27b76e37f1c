import { normalFromWord, philox } from '../hashing/random.js';
import type { ReformerConfig } from './config.js';

/** Names the random stream of new weights: other uses of a seed draw other numbers. */
const STREAM = 0x77656967;

/**
 * The values of a new parameter: normal, of the deviation that the configuration gives, for matrices and positions;
 * 1 and 0 for layer norms and biases. They depend on the seed and on `place`, the parameter's number, alone.
 */
export function initialValues(
  name: string,
  shape: readonly number[],
  place: number,
  { axial_norm_std, initializer_range }: ReformerConfig,
  seed: number,
): Float32Array {
  const values = new Float32Array(shape.reduce((size, axis) => size * axis, 1));
  if (shape.length === 1) {
    return name.endsWith('layer_norm.weight') ? values.fill(1) : values;
  }
  const deviation = /position_embeddings\.weights\.\d$/.test(name) ? axial_norm_std : initializer_range;
  for (let at = 0; at < values.length; at += 4) {
    const words = philox([at / 4, place, 0, 0], [seed, STREAM]);
    for (let i = 0; i < 4 && at + i < values.length; i++) {
      values[at + i] = deviation * normalFromWord(words[i] as number);
    }
  }
  return values;
}
