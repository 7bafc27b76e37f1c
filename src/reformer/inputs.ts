import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import { valuesAtHand } from '../webgpu/backend.js';

/** Rows of numbers, all as long as each other, or an int32 tensor of such. */
export type Rows = Tensor | readonly (readonly number[])[];

/** Sequences, checked. */
export interface Batch {
  /** `[B, L]` int32. */
  readonly ids: Tensor2D;
  /** `[B, L]` int32, 1 = a token, 0 = padding. */
  readonly mask?: Tensor2D;
}

/** Tokens of a vocabulary as a tensor `[B, L]` int32. Ids that only the GPU holds are not checked. */
export function tokensOf(door: Door, name: string, given: Rows, vocabulary: number, least = 0): Tensor2D {
  const tokens = rowsOf(door, name, given, ['int32']);
  if (tokens.size === 0) {
    throw door.range(`\`${name}\` must have a token, got the shape [${tokens.shape}].`);
  }
  for (const [i, id] of (valuesAtHand(tokens) ?? []).entries()) {
    if (id < least || id >= vocabulary) {
      throw door.range(
        `\`${name}\` must lie ${least === 0 ? 'in 0 …' : 'below'} ${vocabulary - Number(least === 0)}, got ${id} at element ${i}. Use the tokenizer of this vocabulary.`,
      );
    }
  }
  return tokens;
}

/** Labels of a batch's tokens, `[B, L]` int32; those below 0 do not count. */
export function labelsOf(door: Door, given: Rows, { ids }: Batch, vocabulary: number): Tensor2D {
  const labels = tokensOf(door, 'labels', given, vocabulary, Number.NEGATIVE_INFINITY);
  if (labels.shape.join() !== ids.shape.join()) {
    throw door.range(`\`labels\` must have the shape of \`ids\`, [${ids.shape}], got [${labels.shape}].`);
  }
  return labels;
}

/** A mask as `[B, L]` int32 of 0 and 1. */
export function maskOf(door: Door, given: Rows, shape: readonly number[]): Tensor2D {
  const mask = rowsOf(door, 'mask', given, ['bool', 'int32']);
  if (mask.shape.join() !== shape.join()) {
    throw door.range(`\`mask\` must have the shape [B, L] = [${shape}], got [${mask.shape}].`);
  }
  const whole = tf.cast(mask, 'int32');
  return tf.cast(tf.notEqual(whole, tf.zerosLike(whole)), 'int32') as Tensor2D;
}

function rowsOf(door: Door, name: string, given: Rows, dtypes: readonly string[]): Tensor2D {
  if (!Array.isArray(given)) {
    const tensor = given as Tensor;
    door.tensor(name, tensor, dtypes);
    if (tensor.rank !== 2) {
      throw door.range(`\`${name}\` must have the shape [B, L], got [${tensor.shape}]. Reshape it.`);
    }
    return tensor as Tensor2D;
  }
  const rows = given as readonly (readonly number[])[];
  const L = rows[0]?.length ?? 0;
  for (const row of rows) {
    if (!Array.isArray(row) || row.length !== L || !row.every(isInt32)) {
      throw door.kind(
        `\`${name}\` must be rows of whole numbers of 32 bits, all as long as the first (${L}), or an int32 tensor [B, L]. Pad the shorter ones, with a \`mask\`.`,
      );
    }
  }
  return tf.tensor(rows.flat(), [rows.length, L], 'int32') as Tensor2D;
}

function isInt32(value: unknown): boolean {
  return typeof value === 'number' && (value | 0) === value;
}

/** Sequences padded on the right to `length`. */
export function padded({ ids, mask }: Batch, length: number, padToken: number): Batch {
  const [B, L] = ids.shape;
  if (length === L) {
    return { ids, ...(mask && { mask }) };
  }
  const more = (x: Tensor2D, value: number) => tf.concat2d([x, tf.fill([B, length - L], value, 'int32')], 1);
  return { ids: more(ids, padToken), mask: more(mask ?? tf.onesLike(ids), 0) };
}
