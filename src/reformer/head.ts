import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import { type Call, seedOf, type Weights } from './call.js';
import type { ReformerConfig } from './config.js';
import { dropElements } from './dropout.js';
import { linear } from './linear.js';
import { type Decoder, sliceOfTokens, summedCrossEntropy } from './loss.js';

/** What a language model's head predicts with. */
export function decoderOf({ lm_head_bias }: ReformerConfig, weights: Weights): Decoder {
  return {
    weight: weights.get('lm_head.decoder.weight'),
    ...(lm_head_bias && { bias: weights.get('lm_head.bias') }),
  };
}

/** The logits of a sequence's classes, `[B, num_labels]`, from its first token's `hidden [B, L, 2·hidden_size]`. */
export function classify(hidden: Tensor, config: ReformerConfig, weights: Weights, call: Call): Tensor {
  const [B, , width] = hidden.shape as [number, number, number];
  const p = call.training ? (config.classifier_dropout ?? config.hidden_dropout_prob) : 0;
  const drop = (x: Tensor, use: 'inner' | 'outer') => {
    const seed = seedOf(call, config.num_hidden_layers, use);
    const dropped = dropElements(tf.expandDims(x, 1), { p, seed }, { first: 0, length: 1 });
    return tf.reshape(dropped, x.shape);
  };
  const first = drop(tf.reshape(tf.slice(hidden, [0, 0, 0], [B, 1, width]), [B, width]), 'inner');
  const under = weights.under('classifier');
  const dense = tf.tanh(linear(first, under.get('dense.weight'), under.get('dense.bias')));
  return linear(drop(dense, 'outer'), under.get('out_proj.weight'), under.get('out_proj.bias'));
}

/** A loss in parts: sums of cross-entropies, and what they are divided by in the end. */
export interface SummedLoss {
  readonly sum: Scalar;
  readonly count: Scalar;
}

/**
 * The cross-entropies of a language model: of each next token for a decoder, else of each token. A label below 0
 * does not count, nor does padding.
 */
export function languageLoss(
  hidden: Tensor,
  labels: Tensor2D,
  mask: Tensor2D | undefined,
  config: ReformerConfig,
  weights: Weights,
): SummedLoss {
  const [B, L, width] = hidden.shape as [number, number, number];
  const shifted = config.is_decoder ? afterEach(labels, -100) : labels;
  const none = tf.scalar(0, 'int32');
  let counts = tf.cast(tf.greaterEqual(shifted, none), 'float32');
  if (mask !== undefined) {
    const real = config.is_decoder ? tf.mul(mask, afterEach(mask, 0)) : mask;
    counts = tf.mul(counts, tf.cast(real, 'float32'));
  }
  const targets = {
    labels: tf.reshape(tf.maximum(shifted, none), [B * L]),
    counts: tf.reshape(counts, [B * L]),
  };
  const size = config.chunk_size_lm_head || sliceOfTokens(config.vocab_size);
  const rows = tf.reshape(hidden, [B * L, width]);
  const sum = summedCrossEntropy(rows, decoderOf(config, weights), targets, size);
  return { sum, count: tf.sum(counts) };
}

/** What comes after each token of `x [B, L]` int32, `end` after the last. */
function afterEach(x: Tensor2D, end: number): Tensor2D {
  const [B, L] = x.shape;
  return tf.concat2d([tf.slice(x, [0, 1], [B, L - 1]), tf.fill([B, 1], end, 'int32')], 1);
}

function classNumbers(given: readonly unknown[], classes: number, door: Door): number[] {
  return given.map((label) => door.integer('labels', label as number, 0, classes - 1));
}

/**
 * The loss of classes, as transformers has it: of int32 labels `[B]` cross-entropy, of float32 ones `[B, num_labels]`
 * binary cross-entropy of each, and of float32 ones `[B]`, for one class, the mean squared error.
 */
export function classLoss(logits: Tensor, given: Tensor | readonly number[], door: Door): Scalar {
  const [B, classes] = logits.shape as [number, number];
  const labels = Array.isArray(given)
    ? tf.tensor1d(classNumbers(given, classes, door), 'int32')
    : (given as Tensor);
  door.tensor('labels', labels, ['int32', 'float32']);
  if (classes > 1 && labels.dtype === 'int32' && labels.shape.join() === `${B}`) {
    const chosen = tf.oneHot(labels as tf.Tensor1D, classes, 1, 0, 'float32');
    return tf.neg(tf.div(tf.sum(tf.mul(tf.logSoftmax(logits), chosen)), B));
  }
  const wanted = classes === 1 && labels.rank === 1 ? [B] : [B, classes];
  if (labels.dtype !== 'float32' || labels.shape.join() !== wanted.join()) {
    throw door.range(
      `\`labels\` must be ${classes > 1 ? `int32 [${B}], classes, or ` : ''}float32 [${wanted}], got ${labels.dtype} [${labels.shape}].`,
    );
  }
  const targets = tf.reshape(labels, [B, classes]);
  if (classes === 1) {
    return tf.mean(tf.square(tf.sub(logits, targets)));
  }
  // softplus(x) − x·y, the binary cross-entropy of sigmoid(x)
  return tf.mean(tf.sub(tf.softplus(logits), tf.mul(logits, targets)));
}
