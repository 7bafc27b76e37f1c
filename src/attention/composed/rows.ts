/** Rows of a table by number, from tf ops that are fast and have gradients on every backend. */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * The rows `indices` of `table [rows, width]`; for an index of -1 any row, which must get no gradient.
 *
 * The gradient of tfjs's gather is quadratic on cpu and missing on wasm. Here it gathers too: to each row
 * come the gradients of the places that asked for it.
 */
export function rowsAt(table: Tensor2D, indices: Int32Array): Tensor2D {
  const [rows, width] = table.shape;
  const op = tf.customGrad((x) => ({
    value: gather(
      x as Tensor,
      indices.map((index) => Math.max(index, 0)),
    ),
    gradFunc: (dy: Tensor) => {
      const andZeros = tf.concat([dy, tf.zeros([1, width])], 0);
      return tf.addN(placesOf(indices, rows).map((places) => gather(andZeros, places)));
    },
  }));
  return op(table) as Tensor2D;
}

/** Of two ops that do the same, the one that copies whole rows: gather goes by elements on wasm, the other on cpu. */
function gather(table: Tensor, indices: Int32Array): Tensor {
  return tf.getBackend() === 'cpu'
    ? tf.gather(table, tf.tensor1d(indices, 'int32'))
    : tf.gatherND(table, tf.tensor2d(indices, [indices.length, 1], 'int32'));
}

/** Where each of 0 … rows−1 stands in `indices`, first, second, …; `indices.length` where it does not. */
function placesOf(indices: Int32Array, rows: number): Int32Array[] {
  const found = new Int32Array(rows);
  const places: Int32Array[] = [];
  for (const [place, index] of indices.entries()) {
    if (index >= 0) {
      const time = found[index] as number;
      places[time] ??= new Int32Array(rows).fill(indices.length);
      (places[time] as Int32Array)[index] = place;
      found[index] = time + 1;
    }
  }
  return places;
}
