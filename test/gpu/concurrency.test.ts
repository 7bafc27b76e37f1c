/** Calls side by side: what each gives alone, it gives in any company. */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttention, LshCache, lshAttention, scaledDotProductAttention } from '../../src/index.js';
import { Reformer } from '../../src/reformer/index.js';
import { BinaryIndex, BruteForceIndex, minHashSignatures } from '../../src/search/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers, normals } from '../inputs.js';

const OPTIONS = { chunkLength: 16, numHashes: 2 };
const D = 12;
const CONFIG = {
  is_decoder: true,
  attn_layers: ['local', 'lsh'],
  hidden_size: 16,
  vocab_size: 11,
  num_attention_heads: 2,
  attention_head_size: 8,
  feed_forward_size: 16,
  axial_pos_embds: false,
  max_position_embeddings: 64,
  num_buckets: 4,
  num_hashes: 1,
  eos_token_id: null,
};

const inputs = (L: number, seed = 1) => tf.tensor(normals(2 * L * D, seed), [2, L, D]);

async function valuesOf(make: () => tf.Tensor): Promise<ArrayLike<number>> {
  const tensor = tf.tidy(make);
  const values = await tensor.data();
  tensor.dispose();
  return values;
}

/** Work of every kind, each begun anew whenever it is called. */
const WORK: Record<string, () => Promise<unknown>> = {
  lshAttention: () => valuesOf(() => lshAttention(inputs(50), inputs(50, 2), OPTIONS)),
  'lshAttention of another shape': () =>
    valuesOf(() => lshAttention(inputs(33), inputs(33, 2), { ...OPTIONS, causal: true })),
  'a gradient': () =>
    valuesOf(() => tf.grad((x) => tf.sum(tf.square(lshAttention(x, x, OPTIONS))))(inputs(40))),
  denseAttention: () => valuesOf(() => denseAttention(inputs(30), inputs(30, 2))),
  // Commands of tfjs are pending before the kernels and after.
  'between operations of tfjs': () =>
    valuesOf(() => tf.mul(scaledDotProductAttention(tf.mul(inputs(20), 2), inputs(20), inputs(20)), 3)),
  'tfjs alone': () => valuesOf(() => tf.add(tf.mul(inputs(25), 2), inputs(25, 3))),
  async decoding() {
    const cache = new LshCache({ numBuckets: 4, numHashes: 2 });
    const steps = [20, 1, 1, 1, 7];
    const found: unknown[] = [];
    for (const [i, count] of steps.entries()) {
      found.push(await valuesOf(() => cache.append(inputs(count, i), inputs(count, i + 9))));
    }
    cache.dispose();
    return found;
  },
  async generation() {
    const model = new Reformer(CONFIG);
    const found = await model.generate([[1, 2, 3, 4]], { maxNewTokens: 4 });
    model.dispose();
    return found;
  },
  async 'generation by another model'() {
    const model = new Reformer({ ...CONFIG, num_hashes: 2 }, { seed: 3 });
    const found = await model.generate([[5, 6], [7]], { maxNewTokens: 3, temperature: 1, seed: 4 });
    model.dispose();
    return found;
  },
  async 'training steps'() {
    const model = new Reformer({ ...CONFIG, num_hashes: 2 }, { seed: 5 });
    const optimizer = tf.train.sgd(0.1);
    const losses: unknown[] = [];
    for (let step = 0; step < 2; step++) {
      const loss = () => model.loss([[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]], { training: true });
      const cost = optimizer.minimize(loss, true) as tf.Scalar;
      losses.push(await cost.data());
      cost.dispose();
    }
    optimizer.dispose();
    model.dispose();
    return losses;
  },
  async search() {
    const found: unknown[] = [];
    for (const index of [new BinaryIndex({ D }), new BruteForceIndex({ D })]) {
      await index.build(normals(200 * D, 1, false));
      found.push(await index.query(normals(5 * D, 2, false), { k: 3 }));
      index.dispose();
    }
    return found;
  },
  signatures: () =>
    minHashSignatures([integers(40, 1000, 1), integers(50, 1000, 2)].map((x) => new Uint32Array(x))),
};

describe.each(BACKENDS)('on %s', (backend) => {
  test('all at once, in either order, and twice each', async () => {
    await onBackend(backend, async () => {
      const names = Object.keys(WORK);
      const alone: Record<string, unknown> = {};
      for (const name of names) {
        alone[name] = await WORK[name]?.();
      }
      const tensors = tf.memory().numTensors;
      for (const order of [names, [...names, ...names].reverse()]) {
        const together = await Promise.all(order.map((name) => WORK[name]?.()));
        for (const [i, name] of order.entries()) {
          expect(together[i], name).toEqual(alone[name]);
        }
      }
      expect(tf.memory().numTensors).toBe(tensors);
    });
  });
});

describe.runIf(['webgpu', 'cpu'].every((name) => BACKENDS.includes(name as 'cpu')))('two backends', () => {
  test('in turns, with reads pending', async () => {
    const attend = () => lshAttention(inputs(50), inputs(50, 2), OPTIONS);
    const alone: Record<string, unknown> = {};
    for (const backend of ['webgpu', 'cpu'] as const) {
      alone[backend] = await onBackend(backend, () => valuesOf(attend));
    }
    const before = tf.getBackend();
    const pending: [string, Promise<unknown>][] = [];
    for (let turn = 0; turn < 6; turn++) {
      const backend = turn % 2 === 0 ? 'webgpu' : 'cpu';
      await tf.setBackend(backend);
      pending.push([backend, valuesOf(attend)]); // read while the other backend is current
    }
    for (const [backend, values] of pending) {
      expect(await values).toEqual(alone[backend]);
    }
    await tf.setBackend(before);
  });

  test('a change in the middle of a call is refused', async () => {
    await onBackend('webgpu', async () => {
      const index = new BinaryIndex({ D });
      await index.build(normals(50 * D, 1, false));
      const model = new Reformer(CONFIG);
      const messages = [
        index.query(normals(D, 2, false), { k: 3 }),
        model.generate([[1, 2, 3]], { maxNewTokens: 9 }),
      ].map((call) => call.then(String, (error: Error) => error.message));
      for (let i = 0; i < 50; i++) {
        await undefined; // until both wait for the device
      }
      await tf.setBackend('cpu');
      const [ofQuery, ofGenerate] = await Promise.all(messages);
      expect(ofQuery).toMatch(/^BinaryIndex\.query: the backend has been changed, to 'cpu'/);
      expect(ofGenerate).toMatch(/^Reformer\.generate: the backend has been changed, to 'cpu'/);
      await tf.setBackend('webgpu');
      model.dispose();
      index.dispose();
    });
  });
});
