import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door } from '../door.js';

/**
 * The unnormalised Walsh–Hadamard transform in Sylvester's order, in place, of `length` numbers from `start`
 * on; `length` is a power of two. Two levels at a time: half the passes over memory.
 */
export function transformInPlace(values: Float64Array, start: number, length: number): void {
  let half = 1;
  for (; half * 4 <= length; half *= 4) {
    for (let block = start; block < start + length; block += 4 * half) {
      for (let i = block; i < block + half; i++) {
        const a = values[i] as number;
        const b = values[i + half] as number;
        const c = values[i + 2 * half] as number;
        const d = values[i + 3 * half] as number;
        values[i] = a + b + (c + d);
        values[i + half] = a - b + (c - d);
        values[i + 2 * half] = a + b - (c + d);
        values[i + 3 * half] = a - b - (c - d);
      }
    }
  }
  if (half < length) {
    for (let i = start; i < start + half; i++) {
      const a = values[i] as number;
      const b = values[i + half] as number;
      values[i] = a + b;
      values[i + half] = a - b;
    }
  }
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
