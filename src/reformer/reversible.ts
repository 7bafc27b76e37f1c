/**
 * Reversible residual layers (Gomez et al. 2017, arXiv 1707.04585; Kitaev et al. 2020, section 3): the inputs of a
 * layer follow from its outputs, so training keeps the last layer's outputs and each layer's buckets, no activations.
 *
 *   Y1 = X1 + Attention(X2)    Y2 = X2 + FeedForward(Y1)
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { AttentionLayer } from './attention.js';
import type { Call } from './call.js';
import type { FeedForward } from './feedForward.js';
import { gradientsWithin } from './nestedGradients.js';

/** A layer: Y1 = X1 + Attention(X2), Y2 = X2 + FeedForward(Y1). */
export interface ReversibleLayer {
  /** What is added to the first stream. */
  readonly attention: AttentionLayer;
  /** What is added to the second. */
  readonly feedForward: FeedForward;
}

/** The two residual streams, `[B, L, hidden_size]` each. */
export type Streams = [Tensor, Tensor];

/** A layer's outputs, and the buckets that it hashed to, if it hashed. */
export type Stepped = {
  readonly streams: Streams;
  readonly buckets?: Tensor;
};

/** One layer forward. */
export function step([x1, x2]: Streams, { attention, feedForward }: ReversibleLayer, call: Call): Stepped {
  const { out, ...hashed } = attention.apply(x2, call);
  const y1 = tf.add(x1, out);
  return { streams: [y1, tf.add(x2, feedForward.apply(y1, call))], ...hashed };
}

/** One layer backward: its inputs from its outputs. */
export function stepBack(
  [y1, y2]: Streams,
  { attention, feedForward }: ReversibleLayer,
  call: Call,
  buckets: Tensor | undefined,
): Streams {
  const x2 = tf.sub(y2, feedForward.apply(y1, call));
  return [tf.sub(y1, attention.apply(x2, call, buckets).out), x2];
}

/**
 * All layers, both streams from `x [B, L, hidden_size]`: `[B, L, 2·hidden_size]`, the streams side by side.
 * Differentiable in x and the layers' variables, once, with memory that does not grow with their number.
 */
export function reversible(x: Tensor, layers: readonly ReversibleLayer[], call: Call): Tensor {
  const variables = layers.flatMap(({ attention, feedForward }) => [
    ...attention.variables,
    ...feedForward.variables,
  ]);
  const op = tf.customGrad((...inputs) => {
    const save = inputs[inputs.length - 1] as unknown as tf.GradSaveFunc;
    const { out, buckets } = forward(inputs[0] as Tensor, layers, call);
    const { mask, ...others } = call;
    save([out, ...[mask, ...buckets].filter((kept) => kept !== undefined)]);
    const saves = [mask, ...buckets].map((kept) => kept !== undefined);
    return {
      value: out,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [y, ...kept] = saved as [Tensor, ...Tensor[]];
        const [again, ...hashed] = saves.map((is) => (is ? kept.shift() : undefined));
        return backward(y, dy, layers, { ...others, ...(again && { mask: again }) }, hashed);
      },
    };
  });
  return op(x, ...variables);
}

function forward(x: Tensor, layers: readonly ReversibleLayer[], call: Call) {
  let streams: Streams = [x, x];
  const buckets: (Tensor | undefined)[] = [];
  for (const layer of layers) {
    const before = streams;
    const after = tf.tidy(() => step(before, layer, call));
    if (before[0] !== x) {
      tf.dispose([...before]);
    }
    streams = after.streams;
    buckets.push(after.buckets);
  }
  return { out: tf.concat([...streams], 2), buckets };
}

/** The gradients by x and by each layer's variables, in their order. */
function backward(
  y: Tensor,
  dy: Tensor,
  layers: readonly ReversibleLayer[],
  call: Call,
  buckets: readonly (Tensor | undefined)[],
): Tensor[] {
  let streams = tf.split(y, 2, 2) as unknown as Streams;
  let slopes = tf.split(dy, 2, 2) as unknown as Streams;
  const gradients: Tensor[] = [];
  for (const [i, layer] of [...layers.entries()].reverse()) {
    const pulled = tf.tidy(() => pullBack(streams, slopes, layer, call, buckets[i]));
    tf.dispose([...streams, ...slopes]);
    streams = pulled.streams;
    slopes = pulled.slopes;
    gradients.unshift(...pulled.gradients);
  }
  const ofX = tf.add(...slopes);
  tf.dispose([...streams, ...slopes]);
  return [ofX, ...gradients];
}

/** One layer's inputs, and the gradients by them and its variables, from its outputs and the gradients by them. */
function pullBack(
  [y1, y2]: Streams,
  [dy1, dy2]: Streams,
  { attention, feedForward }: ReversibleLayer,
  call: Call,
  buckets: Tensor | undefined,
) {
  const fed = feedForward.pull(y1, dy2, call);
  const [ofY1, ...ofFeedForward] = fed.gradients as [Tensor, ...Tensor[]];
  const x2 = tf.sub(y2, fed.value);
  const dx1 = tf.add(dy1, ofY1);
  const attended = gradientsWithin(
    () => attention.apply(x2, call, buckets).out,
    [x2, ...attention.variables],
    dx1,
  );
  const [ofX2, ...ofAttention] = attended.gradients as [Tensor, ...Tensor[]];
  return {
    streams: [tf.sub(y1, attended.value), x2] as Streams,
    slopes: [dx1, tf.add(dy2, ofX2)] as Streams,
    gradients: [...ofAttention, ...ofFeedForward],
  };
}
