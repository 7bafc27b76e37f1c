/** Rows of a table by number, from tf ops that are fast and have gradients on every backend. */
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Takes the rows `indices` of tables `[rows, width]`; for an index of -1 any row, which must get no gradient.
 *
 * The gradient of tfjs's gather is quadratic on cpu and missing on wasm. Here it gathers too: to each row
 * come the gradients of the places that asked for it.
 */
export function rowsAt(indices: Int32Array): (table: Tensor2D) => Tensor2D {
  const at = indexTensor(indices.map((index) => Math.max(index, 0)));
  let places: Int32Array[] | undefined;
  return (table) => {
    const [rows, width] = table.shape;
    const op = tf.customGrad((x) => ({
      value: gather(x as Tensor, at),
      gradFunc: (dy: Tensor) => {
        const andZeros = tf.concat([dy, tf.zeros([1, width])], 0);
        places ??= placesOf(indices, rows);
        return tf.addN(places.map((ofRows) => gather(andZeros, indexTensor(ofRows))));
      },
    }));
    return op(table) as Tensor2D;
  };
}

/** Of two ops that do the same, the one that copies whole rows: gather on cpu; elsewhere it goes by elements, or is slow. */
const gathers = () => tf.getBackend() === 'cpu';

function indexTensor(indices: Int32Array): Tensor {
  return tf.tensor(indices, gathers() ? [indices.length] : [indices.length, 1], 'int32');
}

function gather(table: Tensor, at: Tensor): Tensor {
  return gathers() ? tf.gather(table, at as Tensor1D) : tf.gatherND(table, at);
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
