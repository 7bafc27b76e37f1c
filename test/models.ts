/** Small models around an attention layer, for tests on every backend. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {
  denseSelfAttention,
  type LocalSelfAttention,
  type LSHSelfAttention,
  type LSHSelfAttentionArgs,
  localSelfAttention,
  lshSelfAttention,
} from '../src/layers/index.js';
import { normals } from './inputs.js';

export type Maker = (args: LSHSelfAttentionArgs) => LSHSelfAttention | LocalSelfAttention;

/** Each layer from arguments that all of them take. */
export const FACTORIES = {
  LSHSelfAttention: lshSelfAttention,
  DenseSelfAttention: denseSelfAttention,
  LocalSelfAttention: localSelfAttention as Maker,
} satisfies Record<string, Maker>;

const [SEQUENCES, LENGTH, FEATURES] = [8, 10, 6];

/** Sequences, and what is to be learned of them: 1 + half of a token + the mean of those before it. */
export function trainingData(): { readonly x: tf.Tensor; readonly y: tf.Tensor } {
  return tf.tidy(() => {
    const x = tf.tensor3d(normals(SEQUENCES * LENGTH * FEATURES, 3, false), [SEQUENCES, LENGTH, FEATURES]);
    const sums = tf.cumsum(x, 1, true);
    const counts = tf.reshape(tf.maximum(tf.range(0, LENGTH), 1), [1, LENGTH, 1]);
    return { x, y: tf.add(tf.add(1, tf.mul(x, 0.5)), tf.div(sums, counts)) };
  });
}

/** The layer between a residual connection (functional) or none (sequential), and a dense layer. */
export function modelOf(kind: 'sequential' | 'functional', layer: tfl.layers.Layer): tfl.LayersModel {
  const kernelInitializer = tfl.initializers.glorotUniform({ seed: 7 });
  const last = tfl.layers.dense({ units: FEATURES, kernelInitializer });
  if (kind === 'sequential') {
    const first = tfl.layers.dense({ units: FEATURES, kernelInitializer, inputShape: [null, FEATURES] });
    return tfl.sequential({ layers: [first, layer, last] });
  }
  const input = tfl.input({ shape: [null, FEATURES] });
  const attended = layer.apply(input) as tfl.SymbolicTensor;
  const sum = tfl.layers.add().apply([input, attended]) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: last.apply(sum) as tfl.SymbolicTensor });
}

/** What `save` writes, loaded again. */
export async function reload(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  let artifacts: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    }),
  );
  // As a file would hold it: text, and nothing that is not in it.
  const written = JSON.parse(JSON.stringify({ ...artifacts, weightData: undefined })) as tf.io.ModelArtifacts;
  const { weightData } = artifacts as tf.io.ModelArtifacts;
  return await tfl.loadLayersModel(
    tf.io.fromMemory({ ...written, ...(weightData !== undefined && { weightData }) }),
  );
}

/** The values of a tensor, which is disposed. */
export async function dataOf(tensor: tf.Tensor): Promise<Float32Array> {
  const values = (await tensor.data()) as Float32Array;
  tensor.dispose();
  return values;
}

/** On a backend: the gradient of a loss, with a mask and in training, by each weight and the input. */
export async function lossAndGradients(layer: tfl.layers.Layer, backend: string): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  const [B, L, F] = [2, 11, 6];
  const tensors = tf.tidy(() => {
    const x = tf.variable(tf.tensor(normals(B * L * F, 1, false), [B, L, F]));
    const direction = tf.tensor(normals(B * L * F, 2, false), [B, L, F]);
    const mask = tf.tensor(
      Array.from({ length: B * L }, (_, i) => i % 5 !== 2),
      [B, L],
      'bool',
    );
    layer.apply(x);
    layer.setWeights(layer.getWeights().map(({ shape, size }, n) => tf.tensor(normals(size, 10 + n), shape)));
    const { grads } = tf.variableGrads(() =>
      tf.sum(tf.mul(layer.apply(x, { mask, training: true }) as tf.Tensor, direction)),
    );
    return Object.values(grads);
  });
  return await Promise.all(tensors.map(dataOf));
}
