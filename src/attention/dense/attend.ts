import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import { onWebGPU } from '../../webgpu/backend.js';
import { attendToAll, blockMultipliers } from '../composed/allPairs.js';
import { lastResort, onesOf } from '../composed/softmax.js';
import type { AttentionWithLse } from '../lshAttention.js';
import { NOTHING_SEEN } from '../options.js';
import type { DenseSettings, DenseShape } from './settings.js';
import { type DenseInputs, denseOnWebGPU } from './webgpu.js';

/** Exact attention of checked tensors: by kernels on WebGPU, in blocks of tf ops elsewhere. */
export function attendDensely(
  inputs: DenseInputs,
  shape: DenseShape,
  settings: DenseSettings,
  door: Door,
): AttentionWithLse {
  const { q, v } = inputs;
  const { B, H, L, Lk, E } = shape;
  const outShape = [...q.shape.slice(0, -1), E];
  const lseShape = q.shape.slice(0, -1);
  if (B * H * L === 0 || Lk === 0) {
    return { out: tf.zeros(outShape), lse: tf.fill(lseShape, NOTHING_SEEN) };
  }
  const { out, lse } = onWebGPU()
    ? denseOnWebGPU(inputs, shape, settings, door)
    : composedDense(inputs, shape, settings, v);
  return { out: tf.reshape(out, outShape), lse: tf.reshape(lse, lseShape) };
}

function composedDense(
  { q, k, mask }: DenseInputs,
  shape: DenseShape,
  settings: DenseSettings,
  v: Tensor,
): AttentionWithLse {
  const { B, H, L, Lk, D, E } = shape;
  const { causal, sharedQk, scale, dropout, seed } = settings;
  const rows = B * H;
  const queries = tf.reshape(q, [rows, L, D]) as Tensor3D;
  const keys = tf.reshape(k, [rows, Lk, D]) as Tensor3D;
  const values = tf.reshape(v, [rows, Lk, E]) as Tensor3D;
  const masked = mask === undefined ? undefined : maskOfRows(mask, shape);
  const positions = tf.range(Lk - L, Lk, 1, 'int32');
  const j = tf.reshape(tf.range(0, Lk, 1, 'int32'), [1, 1, Lk]);
  const attended = attendToAll(queries, keys, values, scale, (first, count) => {
    const i = tf.reshape(tf.slice(positions, first, count), [1, count, 1]);
    const factors: Tensor[] = [];
    if (causal) {
      factors.push(tf.lessEqual(j, i));
    }
    if (sharedQk) {
      factors.push(tf.notEqual(j, i));
    }
    if (masked !== undefined) {
      const perQuery = masked.shape[1] !== 1;
      factors.push(perQuery ? tf.slice(masked, [0, first, 0], [rows, count, Lk]) : masked);
      if (sharedQk) {
        factors.push(tf.reshape(tf.slice(masked, [0, 0, first], [rows, 1, count]), [rows, count, 1]));
      }
    }
    const admitted = factors
      .map((factor) => tf.cast(factor, 'float32'))
      .reduce((all, factor) => tf.mul(all, factor), tf.ones([1, 1, Lk]));
    return dropout === 0
      ? { admitted }
      : { admitted, kept: blockMultipliers({ p: dropout, seed }, 0, shape, first, count, Lk) };
  });
  return sharedQk ? lastResort(attended, values) : attended;
}

/** A mask as `[B·H, L or 1, Lk]`, float32. */
function maskOfRows(mask: Tensor, { B, H }: DenseShape): Tensor3D {
  const [ofB, ofH, ofL, Lk] = (mask.rank === 4 ? mask.shape : [mask.shape[0], 1, 1, mask.shape[1]]) as [
    number,
    number,
    number,
    number,
  ];
  const all = tf.tile(tf.reshape(onesOf(mask), [ofB, ofH, ofL, Lk]), [B / ofB, H / ofH, 1, 1]);
  return tf.reshape(all, [B * H, ofL, Lk]);
}
