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

async function logitsOf(
  model: Reformer,
  ids: number[][],
  options: ReformerCallOptions = {},
): Promise<Float32Array> {
  const logits = model.logits(ids, options);
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  return values;
}

async function numberOf(scalar: tf.Scalar): Promise<number> {
  const [value] = await scalar.data();
  scalar.dispose();
  return value as number;
}

/** The largest difference of logits, at the tokens whose mask is 1. */
function largestOff(found: ArrayLike<number>, wanted: ArrayLike<number>, mask?: number[]): number {
  expect(found.length).toBe(wanted.length);
  const counts = (_: number, i: number) => mask === undefined || mask[Math.floor(i / VOCABULARY)] === 1;
  return Math.max(...Array.from(wanted, (x, i) => Math.abs(at(found, i) - x)).filter(counts));
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

  test('padding on either side is seen by none, and does not count in the loss', async () => {
    await onBackend(backend, async () => {
      const model = modelOf({ hidden_dropout_prob: 0 });
      const whole = rows(48);
      const real = (b: number, i: number) => (b === 0 ? i < 41 : i >= 9);
      const mask = whole.map((row, b) => row.map((_, i) => Number(real(b, i))));
      const others = whole.map((row, b) => row.map((id, i) => (real(b, i) ? id : (id + 7) % VOCABULARY)));
      const found = await logitsOf(model, whole, { mask });
      expect(largestOff(await logitsOf(model, others, { mask }), found, mask.flat())).toBe(0);
      // What is padded here is padded by the model itself, to whole chunks, when it is left out.
      const short = await logitsOf(model, [(whole[0] as number[]).slice(0, 41)]);
      expect(largestOff(found.subarray(0, 41 * VOCABULARY), short)).toBeLessThan(1e-5);
      const lossOf = async (ids: number[][]) => await numberOf(model.loss(ids, ids, { mask }));
      expect(await lossOf(others)).toBe(await lossOf(whole));
    });
  });

  test('packed texts are what they are by themselves', async () => {
    await onBackend(backend, async () => {
      const model = modelOf();
      const packed = rows(60);
      // Of several padded lengths, one of a chunk or less, one in pieces.
      const ends = [
        [24, 30, 50, 60],
        [6, 26, 60, 60],
      ];
      const segments = packed.map((row, b) =>
        row.map((_, i) => (ends[b] as number[]).findIndex((end) => i < end)),
      );
      (segments[0] as number[])[59] = 1;
      const found = await logitsOf(model, packed, { segments });
      let sum = 0;
      let count = 0;
      for (const [b, row] of packed.entries()) {
        for (const id of new Set(segments[b])) {
          const places = row.flatMap((_, i) => (segments[b]?.[i] === id ? [i] : []));
          const text = [places.map((i) => row[i] as number)];
          const alone = await logitsOf(model, text);
          const here = places.flatMap((i) => [
            ...found.subarray((b * 60 + i) * VOCABULARY, (b * 60 + i + 1) * VOCABULARY),
          ]);
          expect(largestOff(here, alone), `text ${id} of row ${b}`).toBeLessThan(1e-5);
          sum += (places.length - 1) * (await numberOf(model.loss(text, text)));
          count += places.length - 1;
        }
      }
      expect(await numberOf(model.loss(packed, packed, { segments }))).toBeCloseTo(sum / count, 5);
    });
  });

  test('with bucket windows no output depends on what comes later', async () => {
    await onBackend(backend, async () => {
      const model = modelOf({ lsh_window: 'bucket', lsh_duplicates: 'correct' });
      const ids = rows(41);
      const later = ids.map((row) => row.map((id, i) => (i < 20 ? id : (id + 3) % VOCABULARY)));
      const before = ids.flatMap((row) => row.map((_, i) => Number(i < 20)));
      const found = await logitsOf(model, ids);
      expect(largestOff(await logitsOf(model, later), found, before)).toBeLessThan(1e-6);
      const start = await logitsOf(model, ids.map((row) => row.slice(0, 5)).slice(0, 1));
      expect(largestOff(found.subarray(0, 5 * VOCABULARY), start)).toBeLessThan(1e-5);
      expect(largestOff(await logitsOf(model, ids, { window: 'all' }), found)).toBeGreaterThan(1e-3);
    });
  });

  test('a call leaves nothing but its result, also when it fails', async () => {
    await onBackend(backend, async () => {
      const model = modelOf();
      const call = () => {
        const { value, grads } = tf.variableGrads(() => model.loss(rows(), rows(), { training: true }));
        tf.dispose([value, grads, model.logits(rows(), { segments: rows() }), model.hidden(rows())]);
        expect(() => model.logits(rows(), { numHashes: 0 })).toThrow(/Reformer.logits: `numHashes`/);
        expect(() => model.loss(rows(), rows(40))).toThrow(/Reformer.loss: `labels`/);
      };
      call();
      const before = tf.memory().numTensors;
      call();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});

describe.runIf(BACKENDS.includes('webgpu'))('on webgpu', () => {
  test('a loss never holds the logits of all tokens', async () => {
    await onBackend('webgpu', async () => {
      const vocab_size = 5000;
      const length = 2048;
      const model = new Reformer({
        ...CONFIG,
        ...{ vocab_size, attn_layers: ['local'], axial_pos_shape: [32, 64], max_position_embeddings: length },
      });
      const ids = [[...integers(length, vocab_size, 1)]];
      tf.dispose(model.loss(ids, ids));
      const { result, peakBytes } = measureBytes(() => tf.variableGrads(() => model.loss(ids, ids)));
      const whole = 4 * length * vocab_size;
      console.info(`peak of a loss and its gradient: ${peakBytes} bytes; all logits: ${whole}`);
      expect(peakBytes).toBeLessThan(whole);
      tf.dispose([result.value, result.grads]);
      model.dispose();
    });
  });
});
