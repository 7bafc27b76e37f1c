/**
 * A backend of tfjs as a peer: `node --import tsx tfOps.mjs cpu|wasm|tensorflow dense|composed`. Dense attention, and
 * LSH attention of this package, as tf ops. `tensorflow` is tfjs-node.
 */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // gradients
import { lshAttention } from 'tfjs-lsh-attention';
import { loadTfjsNode } from '../tfjsNode.ts';
import { numbers, serve } from './protocol.mjs';

const [backend, computes] = process.argv.slice(2);
const version = backend === 'tensorflow' ? `on TensorFlow ${loadTfjsNode()}` : tf.version_core;
await tf.setBackend(backend);

/** `[L, L]`: 0 for a token at or before the query, and a large negative number for a later one. */
function laterTokens(L) {
  const position = tf.range(0, L, 1, 'int32');
  const later = tf.greater(tf.reshape(position, [1, L]), tf.reshape(position, [L, 1]));
  return tf.mul(tf.cast(later, 'float32'), -1e9);
}

const CALLS = {
  dense: ({ L, D, causal }) => ({
    names: ['q', 'k', 'v'],
    call: (q, k, v) => {
      const logits = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(D));
      return tf.matMul(tf.softmax(causal ? tf.add(logits, laterTokens(L)) : logits), v);
    },
  }),
  // At the scale of reformer-pytorch, so that both can be checked alike.
  composed: ({ R, C, causal }) => ({
    names: ['q', 'v'],
    call: (q, v) => lshAttention(q, v, { numHashes: R, chunkLength: C, causal, scale: '1/sqrt(D)' }),
  }),
};

await serve(version, async ({ params, sets, file, train }) => {
  const { B, H, L, D } = params;
  const { names, call } = CALLS[computes](params);
  const given = sets.map((starts) =>
    names.map((name) => tf.tensor(numbers(file, starts[name], B * H * L * D), [B, H, L, D])),
  );
  return {
    run: async (set) => {
      const inputs = given[set];
      const result = tf.tidy(() => (train ? tf.grads(call)(inputs, inputs.at(-1)).at(-1) : call(...inputs)));
      const output = await result.data();
      result.dispose();
      return output;
    },
    dispose: () => tf.dispose(given),
  };
});
