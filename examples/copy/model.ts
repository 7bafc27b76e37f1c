/** A causal language model of one layer around an attention of this package. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { denseSelfAttention, type LSHSelfAttention, lshSelfAttention } from 'tfjs-lsh-attention/layers';
import type { Task } from './task.js';

/** Exact attention, or LSH attention with so many rounds. */
export type Attention = 'dense' | number;

/** What a model's weights depend on. */
export interface ModelShape extends Task {
  /** Features of a token. */
  readonly width: number;
  readonly heads: number;
  /** Features between the two layers of the feed-forward network. */
  readonly hidden: number;
  /** C, the tokens of a chunk. */
  readonly chunkLength: number;
}

/** Adds a learned vector to each position: `[batch, L, width]` → the same. */
class PositionEmbedding extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'PositionEmbedding';
  private vectors: tfl.LayerVariable | undefined;

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const [, length, width] = inputShape as number[];
    const initializer = tfl.initializers.randomNormal({ stddev: SPREAD, seed: 2 });
    this.vectors = this.addWeight('vectors', [length as number, width as number], 'float32', initializer);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() =>
      tf.add(
        (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor,
        (this.vectors as tfl.LayerVariable).read(),
      ),
    );
  }
}

/**
 * Shifts and scales the features of each position to mean 0 and variance 1. The gradient of tfjs's own
 * layer normalisation tiles, in thousands of operations; and what follows has weights to scale and shift by.
 */
class Normalisation extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'Normalisation';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor;
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      return tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-6)));
    });
  }
}

/** The spread of embeddings at the start; small, so that training soon moves them where they are wanted. */
const SPREAD = 0.2;

/** A language model: symbols `[batch, L]` → logits `[batch, L, vocabulary]` of the symbol after each. */
export function languageModel(shape: ModelShape, attention: Attention, seed: number) {
  const { length, vocabulary, width, heads, hidden, chunkLength } = shape;
  const kernel = (n: number) => tfl.initializers.glorotUniform({ seed: 10 * seed + n });
  const dense = (units: number, n: number, activation?: 'relu') =>
    tfl.layers.dense({ units, kernelInitializer: kernel(n), ...(activation && { activation }) });
  const make = attention === 'dense' ? denseSelfAttention : lshSelfAttention;
  const layer: LSHSelfAttention = make({
    numHeads: heads,
    keyDim: width / heads,
    useBias: false,
    kernelInitializer: kernel(1),
    numHashes: attention === 'dense' ? 1 : attention,
    chunkLength,
    causal: true,
    // As in the paper's text: without it long queries alone make attention sharp, and keys need not become
    // like their queries, as hashing wants them to be.
    scale: '1/sqrt(D)',
    seed,
  });
  const normalised = (x: tfl.SymbolicTensor) => new Normalisation({}).apply(x) as tfl.SymbolicTensor;
  const chain = (x: tfl.SymbolicTensor, ...layers: tfl.layers.Layer[]) =>
    layers.reduce((y, next) => next.apply(y) as tfl.SymbolicTensor, x);
  const sum = (x: tfl.SymbolicTensor, y: tfl.SymbolicTensor) =>
    tfl.layers.add().apply([x, y]) as tfl.SymbolicTensor;

  const input = tfl.input({ shape: [length], dtype: 'int32' });
  const embedding = tfl.layers.embedding({
    inputDim: vocabulary,
    outputDim: width,
    embeddingsInitializer: tfl.initializers.randomNormal({ stddev: SPREAD, seed: 1 }),
  });
  const embedded = chain(input, embedding, new PositionEmbedding({}));
  const attended = sum(embedded, chain(normalised(embedded), layer));
  const fed = sum(attended, chain(normalised(attended), dense(hidden, 5, 'relu'), dense(width, 6)));
  const logits = chain(normalised(fed), dense(vocabulary, 7));
  return { model: tfl.model({ inputs: input, outputs: logits }), layer };
}
