/**
 * Where a model begins. Drawn at random, it first learns which byte follows on which, and then for long nothing more,
 * since no head looks anywhere. So positions begin as waves, and the heads of local layers as looks at the bytes before:
 * the first head at the last one, the second at the one before it, and so on. All of it is trained like the rest.
 * (d'Ascoli et al. 2021, arXiv 2103.10697, begin with heads that are convolutions.)
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Reformer } from 'tfjs-lsh-attention/reformer';
import { COLUMNS, INITIAL_RANGE } from './recipe.js';

/** How large bytes, rows and columns are. */
const [BYTE_SCALE, ROW_SCALE, COLUMN_SCALE] = [0.4, 0.1, 0.3];
/** How much queries and keys make of columns: enough for a look at one byte. */
const LOOK_SCALE = 1.5;

export function startWeights(model: Reformer): void {
  const embeddings = 'reformer.embeddings';
  change(model, `${embeddings}.word_embeddings.weight`, besideColumns);
  for (const [axis, scale] of [ROW_SCALE, COLUMN_SCALE].entries()) {
    change(model, `${embeddings}.position_embeddings.weights.${axis}`, ({ shape }) =>
      tf.mul(waves(shape, shape[axis] as number), scale),
    );
  }
  const { attn_layers, num_attention_heads } = model.config;
  const locals = [...attn_layers.keys()].filter((n) => attn_layers[n] === 'local');
  for (const [place, n] of locals.entries()) {
    const name = `reformer.encoder.layers.${n}.attention.self_attention`;
    const shift = (head: number) => place * num_attention_heads + head + 1;
    change(model, `${name}.query.weight`, (drawn) => tf.add(drawn, look(model, shift)));
    change(model, `${name}.key.weight`, (drawn) =>
      tf.add(
        drawn,
        look(model, () => 0),
      ),
    );
  }
}

/** Bytes in the first half of the features, with the rows: the other is the columns', which looks go by. */
function besideColumns(drawn: tf.Tensor): tf.Tensor {
  const [bytes, width] = drawn.shape as [number, number];
  const first = tf.slice(drawn, [0, 0], [bytes, width / 2]);
  return tf.concat([tf.mul(first, BYTE_SCALE / INITIAL_RANGE), tf.zeros([bytes, width / 2])], 1);
}

/** The positions along an axis as features `[…, width]`: cosines and sines by turns. */
function waves(shape: number[], count: number): tf.Tensor {
  const width = shape[shape.length - 1] as number;
  const values = Float32Array.from({ length: count * width }, (_, place) => {
    const angle = angleOf(Math.floor(place / width), place % width, count);
    return place % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
  return tf.tensor(values, shape);
}

/**
 * Whole waves along an axis, of odd numbers: with half as many features as an axis has positions, each position is at
 * right angles to all others but one; and a shift is one linear map wherever it begins.
 */
function angleOf(position: number, feature: number, count: number): number {
  return (2 * Math.PI * (1 + 2 * (feature >> 1)) * position) / count;
}

/** The matrix that makes of a position's column, for each head, the waves of the column so far before it. */
function look({ config }: Reformer, shift: (head: number) => number): tf.Tensor {
  const { hidden_size: width, attention_head_size: D, num_attention_heads: H } = config;
  const values = Float32Array.from({ length: H * D * width }, (_, place) => {
    const [head, feature] = [Math.floor(place / width / D), Math.floor(place / width) % D];
    const column = (place % width) - width / 2; // after a row's features come its column's
    if (column < 0 || column >> 1 !== feature >> 1) {
      return 0;
    }
    const angle = angleOf(shift(head), feature, COLUMNS);
    const turned = column === feature ? Math.cos(angle) : Math.sin(angle) * (column > feature ? 1 : -1);
    return LOOK_SCALE * turned;
  });
  return tf.tensor(values, [H * D, width]);
}

function change(model: Reformer, name: string, to: (drawn: tf.Variable) => tf.Tensor): void {
  const weight = model.weights.get(name) as tf.Variable;
  tf.tidy(() => weight.assign(to(weight)));
}
