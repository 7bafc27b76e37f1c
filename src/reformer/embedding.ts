import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type Call, seedOf, type Weights } from './call.js';
import type { ReformerConfig } from './config.js';
import { dropElements } from './dropout.js';
import { sliceOfTokens } from './loss.js';

/** What enters the first layer, `[B, L, hidden_size]`, of tokens `ids [B, L]` at the positions 0 … L−1. */
export function embed(ids: Tensor2D, config: ReformerConfig, weights: Weights, call: Call): Tensor {
  const [B, L] = ids.shape;
  const p = call.training ? config.hidden_dropout_prob : 0;
  const whole = { first: 0, length: L };
  const tokens = embedTokens(ids, weights.get('word_embeddings.weight'));
  const positions = positionsOf(L, config, weights.under('position_embeddings'));
  const dropped = dropElements(tokens, { p, seed: seedOf(call, -1, 'inner') }, whole);
  if (p === 0) {
    return tf.add(dropped, positions);
  }
  // transformers drops axial positions by whole columns; here they are dropped one by one, as learned ones.
  const everywhere = tf.tile(positions, [B, 1, 1]);
  return tf.add(dropped, dropElements(everywhere, { p, seed: seedOf(call, -1, 'outer') }, whole));
}

/** What enters the first layer of tokens `ids [B, T]` that stand at `positions [B][T]`, without dropout. */
export function embedAt(ids: Tensor2D, positions: Places, config: ReformerConfig, weights: Weights): Tensor {
  const tokens = tf.gather(weights.get('word_embeddings.weight'), ids);
  return tf.add(tokens, vectorsAt(positions, config, weights.under('position_embeddings')));
}

/** Rows of positions. */
type Places = readonly (readonly number[])[];

function vectorsAt(positions: Places, config: ReformerConfig, weights: Weights): Tensor {
  const [B, T] = [positions.length, positions[0]?.length ?? 0];
  const pick = (table: Tensor, indexOf: (position: number) => number) => {
    const indices = tf.tensor1d(positions.flat().map(indexOf), 'int32');
    const width = table.shape[table.rank - 1] as number;
    return tf.reshape(tf.gather(tf.reshape(table, [-1, width]), indices), [B, T, width]);
  };
  if (!config.axial_pos_embds) {
    return pick(weights.get('embedding.weight'), (position) => position);
  }
  const columns = config.axial_pos_shape[1] as number;
  const row = pick(weights.get('weights.0'), (position) => Math.floor(position / columns));
  return tf.concat([row, pick(weights.get('weights.1'), (position) => position % columns)], 2);
}

/**
 * Rows of `table [V, width]` by ids. The gradient of tfjs's gather adds up in the order in which threads come, or in
 * quadratic time; here it is a product with what the ids stand for, a slice of tokens at a time.
 */
function embedTokens(ids: Tensor2D, table: Tensor): Tensor {
  const [V, width] = table.shape as [number, number];
  const [B, L] = ids.shape;
  const op = tf.customGrad((rows, ...rest) => {
    const save = rest[0] as tf.GradSaveFunc;
    const flat = tf.reshape(ids, [B * L]);
    save([flat]);
    return {
      value: tf.reshape(tf.gather(rows as Tensor, flat), [B, L, width]),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const slopes = tf.reshape(dy, [B * L, width]) as Tensor2D;
        const size = sliceOfTokens(V);
        let sum: Tensor = tf.zeros([V, width]);
        for (let first = 0; first < B * L; first += size) {
          const before = sum;
          sum = tf.tidy(() => {
            const count = Math.min(size, B * L - first);
            const chosen = tf.oneHot(tf.slice(saved[0] as Tensor, [first], [count]), V, 1, 0, 'float32');
            const part = tf.matMul(chosen as Tensor2D, tf.slice(slopes, [first, 0], [count, width]), true);
            return tf.add(before, part);
          });
          before.dispose();
        }
        return sum;
      },
    };
  });
  return op(table);
}

/**
 * The vectors of the positions 0 … L−1, `[1, L, hidden_size]`: learned one by one, or, axial, put together from one of
 * the position's row and one of its column. Beyond the last there are zeros; only padding goes so far.
 */
function positionsOf(L: number, config: ReformerConfig, weights: Weights): Tensor {
  const [rows, columns] = config.axial_pos_shape as [number, number];
  const width = config.hidden_size;
  const most = config.axial_pos_embds ? rows * columns : config.max_position_embeddings;
  const count = Math.min(L, most);
  const table = config.axial_pos_embds
    ? axialTable(Math.ceil(count / columns), config, weights)
    : weights.get('embedding.weight');
  const positions = tf.reshape(tf.slice(table, [0, 0], [count, width]), [1, count, width]);
  return count === L
    ? positions
    : tf.pad(positions, [
        [0, 0],
        [0, L - count],
        [0, 0],
      ]);
}

/** The first `used` rows of axial positions, `[used·columns, hidden_size]`. */
function axialTable(used: number, config: ReformerConfig, weights: Weights): Tensor {
  const columns = config.axial_pos_shape[1] as number;
  const [ofRows, ofColumns] = config.axial_pos_embds_dim as [number, number];
  const row = tf.slice(weights.get('weights.0'), [0, 0, 0], [used, 1, ofRows]);
  const both = tf.concat([tf.tile(row, [1, columns, 1]), tf.tile(weights.get('weights.1'), [used, 1, 1])], 2);
  return tf.reshape(both, [used * columns, ofRows + ofColumns]);
}
