import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import { parameterShapes, Reformer, readConfig, reformerLayer } from '../../src/reformer/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';
import { dataOf, reload } from '../models.js';

const CONFIG = {
  attn_layers: ['lsh', 'local'],
  hidden_size: 16,
  num_attention_heads: 2,
  attention_head_size: 8,
  feed_forward_size: 24,
  vocab_size: 20,
  axial_pos_embds: false,
  max_position_embeddings: 40,
  lsh_attn_chunk_length: 8,
  local_attn_chunk_length: 8,
  hidden_act: 'gelu_new',
  hidden_dropout_prob: 0.1,
};
const [B, L] = [8, 24];
const ids = () => tf.tensor(integers(B * L, 20, 1), [B, L], 'int32');

describe.each(BACKENDS)('on %s', (backend) => {
  test('a model with a Reformer in it is trained, saved and loaded', async () => {
    await onBackend(backend, async () => {
      const input = tfl.input({ shape: [null] });
      const layer = reformerLayer({ config: CONFIG, seed: 4 });
      const hidden = layer.apply(input) as tfl.SymbolicTensor;
      const output = tfl.layers.dense({ units: 1 }).apply(hidden) as tfl.SymbolicTensor;
      const model = tfl.model({ inputs: input, outputs: output });
      expect(layer.getWeights().map(({ shape }) => shape)).toEqual([
        ...parameterShapes(readConfig(CONFIG)).values(),
      ]);
      model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
      const x = ids();
      const y = tf.expandDims(tf.div(tf.cast(x, 'float32'), 20), 2);
      const { history } = await model.fit(x, y, { epochs: 8, batchSize: 4, shuffle: false, verbose: 0 });
      const losses = history.loss as number[];
      expect(losses[7]).toBeLessThan(0.6 * (losses[0] as number));
      expect(layer.reformer.trainingStep).toBe(16);

      const loaded = await reload(model);
      const [found, wanted] = [loaded, model].map((each) => each.predict(x) as tf.Tensor);
      expect(await dataOf(found as tf.Tensor)).toEqual(await dataOf(wanted as tf.Tensor));
    });
  });

  test('it is the model itself: same weights, same logits, with the mask of a layer before it', async () => {
    await onBackend(backend, async () => {
      const config = { ...CONFIG, architectures: ['ReformerForSequenceClassification'], num_labels: 3 };
      const layer = reformerLayer({ config, output: 'logits', seed: 4 });
      const mask = tf.tensor(
        Array.from({ length: B * L }, (_, i) => i % L < 20),
        [B, L],
        'bool',
      );
      const found = layer.apply(ids(), { mask }) as tf.Tensor;
      expect(found.shape).toEqual([B, 3]);
      expect(layer.computeOutputShape([null, L])).toEqual([null, 3]);
      const model = new Reformer(config, { seed: 4 });
      const wanted = model.logits(ids(), { mask });
      expect(await dataOf(found)).toEqual(await dataOf(wanted));
      model.dispose();
    });
  });
});
