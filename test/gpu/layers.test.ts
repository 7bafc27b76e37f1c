/** What the layers do is tested in depth on cpu (test/unit/layers.test.ts); here, that WebGPU does the same. */
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { afterEach, describe, expect, test } from 'vitest';
import { largestError, largestOf } from '../accuracy.js';
import { integers } from '../inputs.js';
import { dataOf, FACTORIES, lossAndGradients, type Maker, modelOf, reload, trainingData } from '../models.js';

const BEFORE = tf.getBackend();
const STEPS = 6; // twenty in the browser
const OPTIONS = { numHeads: 2, keyDim: 3, chunkLength: 4, causal: true, dropout: 0.1, seed: 5 };

afterEach(() => tf.setBackend(BEFORE));

describe.each(Object.entries(FACTORIES) as [string, Maker][])('%s', (_name, make) => {
  /** Loss by loss, and what the model then predicts; made, trained, saved and loaded on one backend. */
  async function run(backend: string) {
    await tf.setBackend(backend);
    const { x, y } = trainingData();
    const model = modelOf('functional', make(OPTIONS));
    fill(model);
    const optimizer = tf.train.adam(0.05);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const losses: number[] = [];
    const fit = async () => {
      const { history } = await model.fit(x, y, { epochs: 1, shuffle: false, verbose: 0 });
      losses.push((history.loss as number[])[0] as number);
    };
    await fit();
    const before = tf.memory().numTensors;
    for (let step = 0; step < STEPS; step++) {
      await fit();
    }
    const leaked = tf.memory().numTensors - before;
    const predicted = await dataOf(model.predict(x) as tf.Tensor);
    const loaded = await reload(model);
    const again = await dataOf(loaded.predict(x) as tf.Tensor);
    model.dispose();
    loaded.dispose();
    tf.dispose([x, y]);
    return { losses, leaked, predicted, again };
  }

  /** Weights that do not depend on the backend. */
  function fill(model: tfl.LayersModel) {
    tf.tidy(() =>
      model.setWeights(
        model.getWeights().map(({ shape, size }, n) =>
          tf.tensor(
            Float32Array.from(integers(size, 2001, n), (k) => (k - 1000) / 1500),
            shape,
          ),
        ),
      ),
    );
  }

  test('fit, save, load and predict are those of the cpu backend', async () => {
    const gpu = await run('webgpu');
    const cpu = await run('cpu');
    expect(gpu.leaked).toBe(0);
    expect(gpu.losses.at(-1)).toBeLessThan(0.6 * (gpu.losses[0] as number));
    expect(largestError(gpu.losses, cpu.losses)).toBeLessThan(1e-3);
    expect(largestError(gpu.predicted, cpu.predicted)).toBeLessThan(0.01 * largestOf(cpu.predicted));
    expect(largestError(gpu.again, gpu.predicted)).toBe(0);
    expect(largestError(cpu.again, cpu.predicted)).toBe(0);
  });

  test('so are the gradients by every weight, masked', async () => {
    const gpu = await lossAndGradients(make(OPTIONS), 'webgpu');
    const cpu = await lossAndGradients(make(OPTIONS), 'cpu');
    expect(gpu.length).toBe(cpu.length);
    for (const [n, values] of cpu.entries()) {
      const most = 5e-5 * (1 + largestOf(values));
      expect(largestError(gpu[n] as Float32Array, values), `gradient ${n}`).toBeLessThan(most);
    }
  });
});
