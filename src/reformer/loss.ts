import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { linear } from './linear.js';

/** Logits of a slice of tokens, unless a vocabulary is so large that few tokens have more: 2 MiB. */
const MOST_LOGITS = 2 ** 19;
const FEWEST_TOKENS = 64;
const MOST_TOKENS = 1024;

/** How many tokens are taken at a time where each has a number for every word. */
export function sliceOfTokens(vocabulary: number): number {
  return Math.min(MOST_TOKENS, Math.max(FEWEST_TOKENS, Math.floor(MOST_LOGITS / vocabulary)));
}

/** What a head predicts from: its matrix `[V, width]`, and its bias `[V]` if it adds one. */
export interface Decoder {
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

/** What is to be predicted. */
export interface Targets {
  /** `[T]` int32, in 0 … V−1. */
  readonly labels: Tensor;
  /** `[T]` float32, how much each counts. */
  readonly counts: Tensor;
}

/**
 * The sum of cross-entropies, in nats, of the logits of `hidden [T, width]`. Logits are made for `size` tokens at a
 * time, again in the gradient, and never exist together.
 */
export function summedCrossEntropy(
  hidden: Tensor,
  { weight, bias }: Decoder,
  { labels, counts }: Targets,
  size: number,
): Scalar {
  const op = tf.customGrad((...inputs) => {
    const save = inputs[inputs.length - 1] as unknown as tf.GradSaveFunc;
    const [h, w, b] = inputs.slice(0, -1) as Tensor[];
    const slices = slicesOf({ h: h as Tensor, w: w as Tensor, ...(b && { b }), labels, counts }, size);
    save([h as Tensor, w as Tensor, labels, counts, ...(b ? [b] : [])]);
    return {
      value: sumOf(slices),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [h, w, labels, counts, b] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor | undefined];
        return slopesOf(slicesOf({ h, w, labels, counts, ...(b && { b }) }, size), w, dy, b !== undefined);
      },
    };
  });
  return op(hidden, weight, ...(bias === undefined ? [] : [bias])) as Scalar;
}

/** Makes one slice's tensors. */
type Slice = () => {
  readonly h: Tensor2D;
  /** `[count, V]` */
  readonly logits: Tensor2D;
  readonly chosen: Tensor2D;
  /** `[count, 1]` */
  readonly counts: Tensor2D;
};

function slicesOf(
  all: { h: Tensor; w: Tensor; b?: Tensor; labels: Tensor; counts: Tensor },
  size: number,
): Slice[] {
  const [T, width] = all.h.shape as [number, number];
  const V = all.w.shape[0] as number;
  return Array.from({ length: Math.ceil(T / size) }, (_, i) => () => {
    const first = i * size;
    const count = Math.min(size, T - first);
    const h = tf.slice(all.h, [first, 0], [count, width]) as Tensor2D;
    const chosen = tf.oneHot(tf.slice(all.labels, [first], [count]), V, 1, 0, 'float32') as Tensor2D;
    const counts = tf.reshape(tf.slice(all.counts, [first], [count]), [count, 1]) as Tensor2D;
    return { h, logits: linear(h, all.w, all.b) as Tensor2D, chosen, counts };
  });
}

function sumOf(slices: readonly Slice[]): Tensor {
  const sums = slices.map((slice) =>
    tf.tidy(() => {
      const { logits, chosen, counts } = slice();
      const most = tf.max(logits, 1, true);
      const lse = tf.add(most, tf.log(tf.sum(tf.exp(tf.sub(logits, most)), 1, true)));
      return tf.sum(tf.mul(counts, tf.sub(lse, tf.sum(tf.mul(logits, chosen), 1, true))));
    }),
  );
  return tf.sum(tf.stack(sums));
}

/** The gradients by hidden, weight and, where there is one, bias. */
function slopesOf(slices: readonly Slice[], weight: Tensor, dy: Tensor, biased: boolean): Tensor[] {
  const ofHidden: Tensor[] = [];
  let ofDecoder: Tensor[] = [
    tf.zerosLike(weight),
    ...(biased ? [tf.zeros([weight.shape[0] as number])] : []),
  ];
  for (const slice of slices) {
    const [here, ...sums] = tf.tidy(() => {
      const { h, logits, chosen, counts } = slice();
      const slopes = tf.mul(tf.mul(counts, dy), tf.sub(tf.softmax(logits), chosen)) as Tensor2D;
      const added = [tf.matMul(slopes, h, true), ...(biased ? [tf.sum(slopes, 0)] : [])];
      return [
        tf.matMul(slopes, weight as Tensor2D),
        ...ofDecoder.map((sum, i) => tf.add(sum, added[i] as Tensor)),
      ];
    }) as [Tensor, ...Tensor[]];
    tf.dispose(ofDecoder);
    ofHidden.push(here);
    ofDecoder = sums;
  }
  const hidden = ofHidden.length === 1 ? (ofHidden[0] as Tensor) : tf.concat(ofHidden, 0);
  return [hidden, ...ofDecoder];
}
