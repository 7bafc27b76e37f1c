import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door } from '../door.js';

/**
 * The unnormalised Walsh–Hadamard transform in Sylvester's order, in place, of the first `length` numbers, a power of
 * two; the levels of pairs less than `half` apart are done. Three levels at a time: a third of the passes over memory.
 */
export function transformInPlace(values: Float64Array, length: number, half = 1): void {
  let step = half;
  for (; step * 8 <= length; step *= 8) {
    for (let block = 0; block < length; block += 8 * step) {
      for (let i = block; i < block + step; i++) {
        const a = values[i] as number;
        const b = values[i + step] as number;
        const c = values[i + 2 * step] as number;
        const d = values[i + 3 * step] as number;
        const e = values[i + 4 * step] as number;
        const f = values[i + 5 * step] as number;
        const g = values[i + 6 * step] as number;
        const h = values[i + 7 * step] as number;
        values[i] = a + b + (c + d) + (e + f + (g + h));
        values[i + step] = a - b + (c - d) + (e - f + (g - h));
        values[i + 2 * step] = a + b - (c + d) + (e + f - (g + h));
        values[i + 3 * step] = a - b - (c - d) + (e - f - (g - h));
        values[i + 4 * step] = a + b + (c + d) - (e + f + (g + h));
        values[i + 5 * step] = a - b + (c - d) - (e - f + (g - h));
        values[i + 6 * step] = a + b - (c + d) - (e + f - (g + h));
        values[i + 7 * step] = a - b - (c - d) - (e - f - (g - h));
      }
    }
  }
  for (; step < length; step *= 2) {
    for (let block = 0; block < length; block += 2 * step) {
      for (let i = block; i < block + step; i++) {
        const a = values[i] as number;
        const b = values[i + step] as number;
        values[i] = a + b;
        values[i + step] = a - b;
      }
    }
  }
}

/** The transform of all numbers times the `signs` from `first` on, which are applied with the first level. */
export function transformFlipped(values: Float64Array, signs: Float64Array, first: number): void {
  const { length } = values;
  if (length === 1) {
    values[0] = (values[0] as number) * (signs[first] as number);
  }
  for (let i = 0; i + 1 < length; i += 2) {
    const a = (values[i] as number) * (signs[first + i] as number);
    const b = (values[i + 1] as number) * (signs[first + i + 1] as number);
    values[i] = a + b;
    values[i + 1] = a - b;
  }
  transformInPlace(values, length, 2);
}

/**
 * The fast Walsh–Hadamard transform of the last axis of a tensor, unnormalised, in Sylvester's order: n·log2(n)
 * additions for n numbers. Twice gives n times the input; it is its own gradient.
 *
 * @param x float32, its last axis a power of two.
 * @returns a tensor of the shape of `x`; the caller's.
 * @throws RangeError for another length, TypeError for another dtype.
 */
export function hadamardTransform(x: Tensor): Tensor {
  const door = new Door('hadamardTransform');
  door.tensor('x', x, ['float32']);
  const length = x.shape.at(-1) ?? 0;
  if (length < 1 || !Number.isInteger(Math.log2(length))) {
    throw door.range(
      `the last axis of \`x\` must be a power of two, got the shape [${x.shape}]. Pad it with zeros.`,
    );
  }
  if (x.size === 0) {
    return tf.clone(x);
  }
  const transform = tf.customGrad((x) => ({
    value: butterflies(x as Tensor, length),
    gradFunc: (dy: Tensor) => butterflies(dy, length),
  }));
  return transform(x);
}

function butterflies(x: Tensor, length: number): Tensor {
  return tf.tidy(() => {
    const rows = x.size / length;
    let y: Tensor = tf.reshape(x, [rows, length]);
    for (let half = 1; half < length; half *= 2) {
      const pairs = tf.reshape(y, [rows * (length / (2 * half)), 2, half]);
      const [a, b] = tf.split(pairs, 2, 1) as [Tensor, Tensor];
      y = tf.reshape(tf.concat([tf.add(a, b), tf.sub(a, b)], 1), [rows, length]);
    }
    return tf.reshape(y, x.shape);
  });
}
