/** The layers in a real browser: a model is trained on WebGPU, saved to the browser's storage, loaded, used. */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, test } from 'vitest';
import { largestError, largestOf } from '../accuracy.js';
import { dataOf, FACTORIES, type Maker, modelOf, trainingData } from '../models.js';

beforeEach(async () => {
  expect(navigator.gpu, 'navigator.gpu').toBeDefined();
  expect(await tf.setBackend('webgpu')).toBe(true);
  tf.env().set('WEBGPU_CPU_FORWARD', false);
});

describe.each(Object.entries(FACTORIES) as [string, Maker][])('%s in the browser', (name, make) => {
  test('fit, save, load and predict', async () => {
    const { x, y } = trainingData();
    const model = modelOf(
      'functional',
      make({ numHeads: 2, keyDim: 3, chunkLength: 4, causal: true, dropout: 0.05, seed: 5 }),
    );
    const optimizer = tf.train.adam(0.02);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const fit = async () => {
      const { history } = await model.fit(x, y, { epochs: 1, verbose: 0, yieldEvery: 'never' });
      return (history.loss as number[])[0] as number;
    };
    const first = await fit();
    const before = tf.memory().numTensors;
    let last = first;
    for (let step = 0; step < 20; step++) {
      last = await fit();
    }
    expect(tf.memory().numTensors).toBe(before);
    expect(last).toBeLessThan(0.6 * first);

    const predicted = await dataOf(model.predict(x) as tf.Tensor);
    const path = `indexeddb://${name}`;
    await model.save(path);
    const loaded = await tfl.loadLayersModel(path);
    await tf.io.removeModel(path);
    expect(await dataOf(loaded.predict(x) as tf.Tensor)).toEqual(predicted);

    // The cpu backend, given the same weights and inputs, predicts the same.
    const [values, ...weights] = await Promise.all([x.data(), ...loaded.getWeights().map((w) => w.data())]);
    const shapes = loaded.getWeights().map(({ shape }) => shape);
    expect(await tf.setBackend('cpu')).toBe(true);
    loaded.setWeights(weights.map((data, n) => tf.tensor(data as Float32Array, shapes[n] as number[])));
    const onCpu = await dataOf(loaded.predict(tf.tensor(values as Float32Array, x.shape)) as tf.Tensor);
    expect(largestError(onCpu, predicted)).toBeLessThan(1e-4 * (1 + largestOf(predicted)));
  });
});
