import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Call } from './call.js';
import { type ReversibleLayer, type Streams, step, stepBack } from './reversible.js';

/**
 * How far the inputs of each layer, computed back from the last layer's outputs, are from what they were: the largest
 * difference in either stream over all tokens that are no padding, `[layers]`, the first layer first.
 */
export function reconstructionDrift(x: Tensor, layers: readonly ReversibleLayer[], call: Call): Tensor1D {
  const inputs: Streams[] = [];
  const buckets: (Tensor | undefined)[] = [];
  let streams: Streams = [x, x];
  for (const layer of layers) {
    inputs.push(streams);
    const before = streams;
    const after = tf.tidy(() => step(before, layer, call));
    streams = after.streams;
    buckets.push(after.buckets);
  }
  const real = call.mask === undefined ? tf.scalar(1) : tf.expandDims(tf.cast(call.mask, 'float32'), 2);
  const drifts: Tensor[] = [];
  for (const [i, layer] of [...layers.entries()].reverse()) {
    const [after, were] = [streams, inputs[i] as Streams];
    streams = tf.tidy(() => stepBack(after, layer, call, buckets[i]));
    const off = streams.map((stream, n) => tf.max(tf.mul(tf.abs(tf.sub(stream, were[n] as Tensor)), real)));
    drifts.unshift(tf.maximum(off[0] as Tensor, off[1] as Tensor));
  }
  return tf.stack(drifts) as Tensor1D;
}
