/** A device that is lost: what is pending fails, what was on it says so, and another device goes on. */
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  denseAttention,
  LshCache,
  localAttention,
  lshAttention,
  lshBuckets,
  scaledDotProductAttention,
} from '../../src/index.js';
import { useWebGPU } from '../../src/node/index.js';
import { Reformer } from '../../src/reformer/index.js';
import { BinaryIndex, BruteForceIndex, MinHashLsh, minHashSignatures } from '../../src/search/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { largestError, largestOf } from '../accuracy.js';
import { BACKENDS } from '../call.js';
import { normals } from '../inputs.js';
import { FACTORIES, modelOf, trainingData } from '../models.js';
import { freshBackend } from './freshBackend.js';

const GPU = BACKENDS.includes('webgpu');
const OPTIONS = { chunkLength: 16, numHashes: 2 };
const LOST = /the WebGPU device is lost \(destroyed.*Start anew with useWebGPU\(\) or useOwnDevice\(\)/s;
const GONE = /the WebGPU device is lost|the 'webgpu' backend has been replaced/;

/** Values as they are on the present device. */
const inputs = () => tf.tensor(normals(2 * 50 * 12, 1), [2, 50, 12]);

/** The message of what a call throws, or a promise rejects with, by which time it must have. */
async function failure(call: () => unknown): Promise<string> {
  try {
    await Promise.race([
      call(),
      new Promise((_, reject) => setTimeout(() => reject(new Error('never settles')), 20_000)),
    ]);
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was thrown';
}

describe.runIf(GPU)('a lost device', () => {
  const factory = tf.findBackendFactory('webgpu');
  /** The three ways out. */
  const revive = {
    async byTfjs() {
      tf.removeBackend('webgpu');
      tf.registerBackend('webgpu', factory, 3);
      await tf.setBackend('webgpu');
    },
    byUseWebGPU: () => useWebGPU(),
    async byUseOwnDevice() {
      const { useOwnDevice } = await import('../../src/webgpu/device.js');
      await useOwnDevice();
    },
  };
  let expected: Float32Array;
  let restore: () => Promise<void>;

  beforeAll(async () => {
    restore = await freshBackend();
    expected = (await lshAttention(inputs(), inputs(), OPTIONS).data()) as Float32Array;
  });
  afterAll(() => restore());

  async function lose(): Promise<void> {
    const device = currentDevice();
    device.destroy();
    await device.lost;
  }

  async function worksAgain(): Promise<void> {
    expect(await failure(() => inputs().data())).toBe('nothing was thrown');
    const again = (await lshAttention(inputs(), inputs(), OPTIONS).data()) as Float32Array;
    // A device of one's own has other variants of the kernels, which round otherwise.
    expect(largestError(again, expected)).toBeLessThan(1e-6 * largestOf(expected));
  }

  const ops: Record<string, (x: tf.Tensor) => tf.TensorContainer> = {
    lshAttention: (x) => lshAttention(x, x, OPTIONS),
    lshBuckets: (x) => lshBuckets(x, OPTIONS),
    denseAttention: (x) => denseAttention(x, x),
    scaledDotProductAttention: (x) => scaledDotProductAttention(x, x, x),
    localAttention: (x) => localAttention(x, x, x, { chunkLength: 16, dropout: 0.5 }),
    'LshCache.append': (x) => new LshCache({ numBuckets: 4 }).append(x, x),
  };

  test('calls: before, during and after', async () => {
    const x = tf.mul(inputs(), 1); // on the device alone
    const gradient = tf.grad((y) => tf.sum(lshAttention(y, y, OPTIONS)));
    const pending = [lshAttention(x, x, OPTIONS), gradient(x), denseAttention(x, x)].map((y) => y.data());
    const messages = pending.map((reading) => failure(() => reading));
    const device = currentDevice();
    device.destroy();
    // The loss is not told of yet: what is computed now fails when it is read.
    messages.push(failure(() => lshAttention(x, x, OPTIONS).data()));
    for (const message of await Promise.all(messages)) {
      expect(message).toMatch(LOST);
      expect(message).toMatch(/^Tensor\.data: /);
    }
    await device.lost;
    for (const [name, op] of Object.entries(ops)) {
      const message = await failure(() => op(x));
      expect(message).toMatch(LOST);
      expect(message.slice(0, name.length + 2)).toBe(`${name}: `);
      if (name !== 'LshCache.append') {
        expect(message).toMatch(/`(qk|q)` cannot be read/);
      }
      // A tensor made of numbers is alive; the device is not.
      expect(await failure(() => op(inputs()))).toMatch(name === 'localAttention' ? /./ : LOST);
    }
    await revive.byUseWebGPU();
    expect(currentDevice()).not.toBe(device);
    expect(await failure(() => x.data())).toMatch(GONE);
    expect(await failure(() => lshAttention(x, x, OPTIONS))).toMatch(/^lshAttention: `qk` cannot be read/);
    await worksAgain();
  });

  test('caches and models, generation and training', async () => {
    const config = { is_decoder: true, attn_layers: ['local', 'lsh'], hidden_size: 16, vocab_size: 11 };
    const sizes = { num_attention_heads: 2, attention_head_size: 8, feed_forward_size: 16 };
    const places = { axial_pos_embds: false, max_position_embeddings: 64, num_buckets: 4, num_hashes: 1 };
    const make = () => new Reformer({ ...config, ...sizes, ...places, eos_token_id: null });
    const prompt = [1, 2, 3, 4];
    const model = make();
    const after = await model.generate([prompt], { maxNewTokens: 3 });
    const cache = new LshCache({ numBuckets: 4 });
    cache.append(inputs(), inputs());
    const { x, y } = trainingData();
    const layers = modelOf('functional', FACTORIES.LSHSelfAttention({ numHeads: 2, keyDim: 3, seed: 5 }));
    layers.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const fit = layers.fit(x, y, {
      epochs: 3,
      verbose: 0,
      callbacks: { onEpochEnd: (epoch) => (epoch === 1 ? lose() : undefined) },
    });
    expect(await failure(() => fit)).toMatch(LOST);

    const lostNow = {
      'Reformer.generate': () => model.generate([prompt], { maxNewTokens: 3 }),
      'Reformer.logits': () => model.logits([prompt]),
      'Reformer.loss': () => tf.train.sgd(0.1).minimize(() => model.loss([prompt], [prompt]), false),
      'Reformer.reconstructionDrift': () => model.reconstructionDrift([prompt]),
      LSHSelfAttention: () => layers.predict(tf.ones([1, 4, 6])),
    };
    for (const [name, call] of Object.entries(lostNow)) {
      const message = await failure(call);
      expect(message).toMatch(LOST);
      expect(message.slice(0, name.length + 2)).toBe(`${name}: `);
    }
    expect(await failure(() => cache.append(inputs(), inputs()))).toMatch(LOST);

    await revive.byTfjs();
    for (const call of Object.values(lostNow)) {
      expect(await failure(call)).toMatch(GONE);
    }
    expect(await failure(() => cache.append(inputs(), inputs()))).toMatch(/has been replaced .* reset\(\)/s);
    cache.reset();
    cache.append(inputs(), inputs());
    cache.dispose();
    model.dispose();
    layers.dispose();
    expect(await make().generate([prompt], { maxNewTokens: 3 })).toEqual(after);
    await worksAgain();
  });

  test('a text that is being generated', async () => {
    const config = { is_decoder: true, attn_layers: ['lsh'], hidden_size: 8, vocab_size: 7, num_buckets: 4 };
    const sizes = { num_attention_heads: 1, attention_head_size: 8, feed_forward_size: 8 };
    const model = new Reformer({
      ...config,
      ...sizes,
      axial_pos_embds: false,
      max_position_embeddings: 64,
      eos_token_id: null,
    });
    const message = await failure(async () => {
      for await (const _ of model.stream([[1, 2, 3]], { maxNewTokens: 20 })) {
        currentDevice().destroy();
      }
    });
    expect(message).toMatch(LOST);
    await revive.byUseOwnDevice();
    await worksAgain();
  });

  test('indexes go on: their vectors are in memory', async () => {
    const D = 20;
    const rows = normals(300 * D, 1, false);
    const queries = normals(5 * D, 2, false);
    const indexes = [new BruteForceIndex({ D }), new BinaryIndex({ D })];
    const sets = [['a', 'b', 'c'].map(String), ['a', 'b', 'd']];
    const signatures = await minHashSignatures(sets);
    const minHash = new MinHashLsh({ threshold: 0.3 });
    await minHash.add(sets);
    const answers = [];
    for (const index of indexes) {
      await index.build(rows);
      answers.push(await index.query(queries, { k: 3 }));
    }
    const pending = failure(() => (indexes[1] as BinaryIndex).query(queries, { k: 3 }));
    await lose();
    expect(await pending).toMatch(LOST);
    expect(await pending).toMatch(/^BinaryIndex\.query: /);
    const files = indexes.map((index) => index.save());
    for (const [i, index] of indexes.entries()) {
      const message = await failure(() => index.query(queries, { k: 3 }));
      expect(message).toMatch(LOST);
      expect(message.startsWith(`${index.kind}.query: `)).toBe(true);
      expect(index.save()).toEqual(files[i]);
    }
    expect(await failure(() => indexes[1]?.add(queries))).toMatch(/^BinaryIndex\.add: .*is lost/);
    expect(await failure(() => minHashSignatures(sets))).toMatch(/^minHashSignatures: .*is lost/);
    expect(await failure(() => minHash.query(sets))).toMatch(/^MinHashLsh\.query: .*is lost/);
    await revive.byUseWebGPU();
    for (const [i, index] of indexes.entries()) {
      expect(await index.query(queries, { k: 3 })).toEqual(answers[i]);
      expect(index.size).toBe(300);
      index.dispose();
    }
    expect(await minHashSignatures(sets)).toEqual(signatures);
    await worksAgain();
  });
});
