/** Gradients against the float64 oracle of the tests, at a length that it can do. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { lshBuckets } from 'tfjs-lsh-attention';
import { gradient } from '../test/oracle/gradient.js';
import type { Params } from './findings.js';
import type { BenchOptions } from './options.js';
import type { Way } from './ways.js';

const LENGTH = 192;
const LONGEST_CHUNK = 32;

/** The largest error of a gradient over the largest of its values. */
export async function gradientError(way: Way, params: Params, { rotation }: BenchOptions): Promise<number> {
  const small: Params = { ...params, B: 1, H: 1, L: LENGTH, C: Math.min(params.C, LONGEST_CHUNK) };
  const { L, D, R, C, causal } = small;
  const q = tf.randomNormal([1, 1, L, D], 0, 1, 'float32', 11);
  const v = tf.randomNormal([1, 1, L, D], 0, 1, 'float32', 12);
  const options = { numHashes: R, chunkLength: C, causal, rotation };
  const found = tf.tidy(() => lshBuckets(q, options));
  await way.prepare?.(q, small);
  const gradients = tf.tidy(() =>
    tf.grads((...[q, v]: Tensor[]) => way.call({ q: q as Tensor, k: q as Tensor, v: v as Tensor }, small))(
      [q, v],
      v,
    ),
  );
  const [qk, values, buckets, dqk, dv] = (await Promise.all(
    [q, v, found, ...gradients].map((tensor) => tensor.data()),
  )) as [Float32Array, Float32Array, Int32Array, Float32Array, Float32Array];
  tf.dispose([q, v, found, ...gradients]);
  // Dense attention is LSH attention in one chunk.
  const dense = way.power === 2;
  const exact = gradient(
    { qk, v: values, buckets: dense ? new Int32Array(L) : buckets },
    { dOut: values },
    { B: 1, H: 1, L, D, E: D },
    dense ? { R: 1, N: 1, C: L, causal } : { R, N: 1 + buckets.reduce((a, b) => Math.max(a, b)), C, causal },
  );
  return Math.max(off(dqk, exact.dqk), off(dv, exact.dv));
}

function off(actual: Float32Array, exact: Float64Array): number {
  const size = exact.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return actual.reduce((most, x, i) => Math.max(most, Math.abs(x - (exact[i] as number))), 0) / size;
}
