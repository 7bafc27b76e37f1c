import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, test } from 'vitest';
import { Reformer, type ReformerCallOptions } from '../../src/reformer/index.js';
import { measureBytes } from '../../src/webgpu/backend.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';
import { at } from '../oracle/shape.js';

const VOCABULARY = 31;
/** All kinds of layers, dropout, and a number of tokens that no chunk divides. */
const CONFIG = {
  is_decoder: true,
  attn_layers: ['local', 'lsh', 'lsh', 'local'],
  hidden_size: 24,
  num_attention_heads: 2,
  attention_head_size: 12,
  feed_forward_size: 40,
  hidden_act: 'gelu',
  vocab_size: VOCABULARY,
  axial_pos_shape: [8, 9],
  axial_pos_embds_dim: [8, 16],
  axial_norm_std: 0.5,
  initializer_range: 0.3,
  lsh_attn_chunk_length: 8,
  local_attn_chunk_length: 12,
  num_buckets: 8,
  num_hashes: 2,
  max_position_embeddings: 72,
  hidden_dropout_prob: 0.2,
  lsh_attention_probs_dropout_prob: 0.1,
  local_attention_probs_dropout_prob: 0.1,
};
const [B, L] = [2, 41];
const rows = (length = L, seed = 5) =>
  Array.from({ length: B }, (_, b) => [...integers(length, VOCABULARY, seed + b)]);

/** The loss and its gradients by parameter, as values. */
async function gradientsOf(model: Reformer, labels: number[][], options: ReformerCallOptions) {
  const { value, grads } = tf.variableGrads(() => model.loss(labels, labels, options));
  const gradients = new Map<string, Float32Array>();
  for (const [name, variable] of model.weights) {
    const gradient = grads[variable.name];
    if (gradient !== undefined) {
      gradients.set(name, (await gradient.data()) as Float32Array);
    }
  }
  const loss = at(await value.data(), 0);
  tf.dispose([value, ...Object.values(grads)]);
  return { loss, gradients };
}

/** Holds two gradients together, within a share of each parameter's largest. */
function expectSame(
  found: Awaited<ReturnType<typeof gradientsOf>>,
  wanted: Awaited<ReturnType<typeof gradientsOf>>,
  share: number,
): void {
  expect(Math.abs(found.loss - wanted.loss)).toBeLessThan(1e-5);
  expect([...found.gradients.keys()]).toEqual([...wanted.gradients.keys()]);
  for (const [name, gradient] of wanted.gradients) {
    const most = Math.max(...gradient.map(Math.abs));
    const off = Math.max(...gradient.map((g, i) => Math.abs(g - at(found.gradients.get(name) ?? [], i))));
    expect(off / Math.max(most, 1e-3), name).toBeLessThan(share);
  }
}

describe.each(BACKENDS)('on %s', (backend) => {
  const models: Reformer[] = [];
  const modelOf = (changes: object = {}) => {
    const model = new Reformer({ ...CONFIG, ...changes }, { seed: 3 });
    models.push(model);
    return model;
  };
  afterAll(() => {
    for (const model of models) {
      model.dispose();
    }
  });

  test('recomputed activations give the gradients of kept ones, with dropout, padding and several slices', async () => {
    await onBackend(backend, async () => {
      const model = modelOf({ chunk_size_feed_forward: 7, chunk_size_lm_head: 5 });
      const mask = rows().map((row, b) => row.map((_, i) => Number(b === 0 ? i < 30 : i > 5)));
      const options = { mask, training: true, seed: 9 };
      const recomputed = await gradientsOf(model, rows(), options);
      const kept = await gradientsOf(model, rows(), { ...options, keepActivations: true });
      expectSame(recomputed, kept, 1e-3);
      expect(recomputed.gradients.size).toBe(model.weights.size - 1);
    });
  });

  test('the sizes of slices do not change results', async () => {
    await onBackend(backend, async () => {
      const options = { training: true, seed: 9 };
      const whole = await gradientsOf(modelOf(), rows(), options);
      for (const size of [1, 16, 100]) {
        const sliced = modelOf({ chunk_size_feed_forward: size, chunk_size_lm_head: size });
        expectSame(await gradientsOf(sliced, rows(), options), whole, 1e-4);
      }
    });
  });

  test('layers are found back from their outputs', async () => {
    await onBackend(backend, async () => {
      const model = modelOf({ attn_layers: Array.from({ length: 12 }, (_, i) => ['local', 'lsh'][i % 2]) });
      const drift = await model.reconstructionDrift(rows(), { training: true, seed: 2 });
      console.info(`drift, first layer first: ${[...drift].map((x) => x.toExponential(1)).join(' ')}`);
      expect(drift.length).toBe(12);
      expect(Math.max(...drift)).toBeLessThan(1e-3);
      expect(Math.max(...drift)).toBeGreaterThan(0);
    });
  });
});
