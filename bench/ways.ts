/** The ways to compute attention in this process: our kernels, the same as tf ops, and dense attention as tf ops. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { denseAttention, type LshAttentionOptions, lshAttention } from 'tfjs-lsh-attention';
import { composedAttention } from '../src/attention/composed/attention.js';
import { composedBuckets } from '../src/attention/composed/hash.js';
import { AttentionDoor } from '../src/attention/door.js';
import type { Params } from './findings.js';
import type { BenchOptions } from './options.js';

/** What a call is given; `k` is for attention with keys of its own. */
export interface Given {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** A way to compute attention from tensors. */
export interface Way {
  readonly name: 'lsh' | 'dense' | 'tfjs' | 'composed';
  readonly power: 1 | 2;
  /** Keys are tensors of their own. */
  readonly separate: boolean;
  /** What must be there before a call with these queries. */
  prepare?(q: Tensor, params: Params): Promise<void>;
  call(given: Given, params: Params): Tensor;
}

export function waysOf({ rotation }: Pick<BenchOptions, 'rotation'>): Record<Way['name'], Way> {
  const lshOptions = ({ R, C, causal }: Params): LshAttentionOptions => ({
    ...{ numHashes: R, chunkLength: C, causal, rotation },
  });
  return {
    lsh: {
      ...{ name: 'lsh', power: 1, separate: false },
      call: ({ q, v }, params) => lshAttention(q, v, lshOptions(params)),
    },
    dense: {
      ...{ name: 'dense', power: 2, separate: false },
      call: ({ q, v }, { causal }) => denseAttention(q, v, { causal }),
    },
    tfjs: {
      ...{ name: 'tfjs', power: 2, separate: true },
      call: ({ q, k, v }, { L, D, causal }) => {
        const logits = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(D));
        return tf.matMul(tf.softmax(causal ? tf.add(logits, laterTokens(L)) : logits), v);
      },
    },
    composed: composed(lshOptions),
  };
}

/**
 * The composed path. It reads buckets back at once, which no tensor on a WebGPU device allows: they are hashed
 * before, and only what follows the hash is measured.
 */
function composed(optionsOf: (params: Params) => LshAttentionOptions): Way {
  const known = new WeakMap<object, { ids: Int32Array; shape: number[] }>();
  const settled = (q: Tensor, v: Tensor, params: Params) => {
    const door = new AttentionDoor('bench');
    const shape = door.shape(q, v);
    return { shape, settings: door.settings(shape, optionsOf(params)) };
  };
  return {
    ...{ name: 'composed', power: 1, separate: false },
    prepare: async (q, params) => {
      const { shape, settings } = settled(q, q, params);
      const found = composedBuckets({ qk: q }, shape, settings);
      known.set(q.dataId, { ids: (await found.data()) as Int32Array, shape: found.shape });
      found.dispose();
    },
    call: ({ q, v }, params) => {
      const { shape, settings } = settled(q, v, params);
      const found = known.get(q.dataId) as { ids: Int32Array; shape: number[] };
      const buckets = tf.tensor(found.ids, found.shape, 'int32');
      return composedAttention({ qk: q, v, buckets }, shape, settings)[0] as Tensor;
    },
  };
}

/** `[L, L]`: 0 for a token at or before the query, and a large negative number for a later one. */
function laterTokens(L: number): Tensor {
  const position = tf.range(0, L, 1, 'int32');
  const later = tf.greater(tf.reshape(position, [1, L]), tf.reshape(position, [L, 1]));
  return tf.mul(tf.cast(later, 'float32'), -1e9);
}

/** Forward and backward: the gradients of what the call computes, for a gradient of its output that is `v`. */
export function trained(way: Way, { q, k, v }: Given, params: Params): Tensor {
  const call = (...[q, v, k]: Tensor[]) =>
    way.call({ q: q as Tensor, v: v as Tensor, k: k as Tensor }, params);
  const gradients = way.separate
    ? tf.grads(call)([q, v, k], v)
    : tf.grads((...[q, v]: Tensor[]) => call(q as Tensor, v as Tensor, k))([q, v], v);
  return gradients[0] as Tensor;
}
