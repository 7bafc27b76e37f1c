import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { parameterCount, Reformer, readConfig } from '../../src/reformer/index.js';
import { measureBytes } from '../../src/webgpu/backend.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';

const LENGTH = 256;
const ALTERNATING = ['local', 'lsh'] as const;

const configOf = (layers: number) =>
  readConfig({
    is_decoder: true,
    attn_layers: Array.from({ length: layers }, (_, i) => ALTERNATING[i % 2]),
    hidden_size: 64,
    num_attention_heads: 2,
    attention_head_size: 32,
    feed_forward_size: 256,
    vocab_size: 50,
    axial_pos_shape: [8, 32],
    axial_pos_embds_dim: [16, 48],
    lsh_attn_chunk_length: 32,
    local_attn_chunk_length: 32,
    num_buckets: 32,
    num_hashes: 2,
    hidden_dropout_prob: 0.1,
    max_position_embeddings: LENGTH,
  });

/** Most GPU bytes of a step of training beyond those before it, less the bytes of the gradients. */
async function peakOfStep(layers: number, keepActivations: boolean): Promise<number> {
  const config = configOf(layers);
  const model = new Reformer(config);
  const ids = tf.tensor(integers(LENGTH, 50, 1), [1, LENGTH], 'int32');
  // Without a state. Adam's update keeps temporaries of all weights at once: its own, and after the gradients.
  const optimizer = tf.train.sgd(0.1);
  const step = () =>
    optimizer.minimize(() => model.loss(ids, ids, { training: true, keepActivations }), true) as tf.Scalar;
  const warm = step(); // weights come onto the GPU
  await warm.data();
  const { result, peakBytes } = measureBytes(step);
  expect(Number.isFinite((await result.data())[0])).toBe(true);
  tf.dispose([warm, result, ids]);
  model.dispose();
  return peakBytes - 4 * parameterCount(config);
}

describe.runIf(BACKENDS.includes('webgpu'))('on webgpu', () => {
  test('the memory of a step of training does not grow with the layers', async () => {
    await onBackend('webgpu', async () => {
      const kept = ((await peakOfStep(4, true)) - (await peakOfStep(2, true))) / 2;
      const peaks: { layers: number; bytes: number; share?: number }[] = [];
      for (const layers of [2, 4, 8, 16]) {
        const bytes = await peakOfStep(layers, false);
        const before = peaks[peaks.length - 1];
        const share = before && (bytes - before.bytes) / (layers - before.layers) / kept;
        peaks.push({ layers, bytes, ...(share !== undefined && { share }) });
      }
      const lines = peaks.map(
        ({ layers, bytes, share }) =>
          `${String(layers).padStart(2)} layers: ${bytes} bytes${share === undefined ? '' : `, ${(100 * share).toFixed(2)} % of a layer's activations more for each`}`,
      );
      console.info(`a layer's activations, kept: ${kept} bytes\n${lines.join('\n')}`);
      for (const { layers, share = 0 } of peaks) {
        expect(share, `${layers} layers`).toBeLessThan(0.05);
      }
    });
  }, 300_000);
});
