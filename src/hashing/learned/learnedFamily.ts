import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { FamilyConfig, FamilyWeights, Rows, VectorFamily } from '../family.js';
import { hyperplanes } from '../hyperplanes.js';

/** Lengths below this are zero. */
const SMALLEST = 1e-30;

/** The family of hyperplanes `[tables·bits, D+1]` for vectors of D numbers, which it takes at unit length with a 1 behind. */
export function learnedFamily(
  { bits, tables, D }: { readonly bits: number; readonly tables: number; readonly D: number },
  planes: Rows,
): VectorFamily {
  const { N, hash, hashTensor, probes } = hyperplanes({ D: D + 1, bits, tables, planes });
  return {
    ...{ name: 'learned', config: { bits, tables, D }, weights: { planes }, tables, bits, D, N },
    hash: (rows) => hash(extended(rows, D)),
    probes: (row, count) => probes(extended(row, D), count),
    hashTensor: (rows) => tf.tidy(() => hashTensor(extendedTensor(rows))),
  };
}

/** Makes a learned family again from what it was made from. */
export function restoreLearned(config: FamilyConfig, { planes }: FamilyWeights): VectorFamily {
  if (planes === undefined) {
    throw new Error('it has no hyperplanes, which are what was learned');
  }
  return learnedFamily(config as unknown as Parameters<typeof learnedFamily>[0], planes as Rows);
}

/** Writes row `i` at unit length, zeros as zeros; false if it is not finite. */
export function unitRow(rows: Rows, i: number, unit: Float64Array): boolean {
  const D = unit.length;
  let size = 0;
  for (let d = 0; d < D; d++) {
    size += (rows[i * D + d] as number) ** 2;
  }
  const length = Math.max(Math.sqrt(size), SMALLEST);
  for (let d = 0; d < D; d++) {
    unit[d] = (rows[i * D + d] as number) / length;
  }
  return Number.isFinite(size);
}

function extended(rows: Rows, D: number): Float64Array {
  const n = rows.length / D;
  const longer = new Float64Array(n * (D + 1)).fill(1);
  for (let i = 0; i < n; i++) {
    unitRow(rows, i, longer.subarray(i * (D + 1), i * (D + 1) + D));
  }
  return longer;
}

function extendedTensor(rows: Tensor): Tensor {
  const lengths = tf.maximum(tf.sqrt(tf.sum(tf.square(rows), 1, true)), SMALLEST);
  return tf.concat([tf.div(rows, lengths), tf.ones([rows.shape[0] as number, 1])], 1);
}
