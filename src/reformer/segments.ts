/**
 * Packed sequences: rows that hold several texts, each with an id of its own. Each text becomes a row, so none sees
 * another, and its positions begin at 0. Texts that are padded to one length go through the model together, which
 * makes no work that they would not make alone.
 */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { rowsAt } from '../attention/composed/rows.js';
import type { Door } from '../door.js';
import type { Batch } from './inputs.js';

/** Texts of one padded length. */
export interface Group {
  /** Of each text, its tokens, counted through all rows. */
  readonly texts: readonly (readonly number[])[];
  /** The longest one's tokens. */
  readonly length: number;
}

/** What goes through a model at once: the rows of a call, or a group of their texts. */
export interface Pack {
  readonly batch: Batch;
  readonly group?: Group;
}

/** The texts of rows of ids `[B, L]`, by the length that `lengthOf` pads them to. */
export function groupSegments(
  door: Door,
  segments: readonly (readonly number[])[],
  [B, L]: readonly number[],
  lengthOf: (length: number) => number,
): Group[] {
  if (
    !Array.isArray(segments) ||
    segments.length !== B ||
    segments.some((row) => !Array.isArray(row) || row.length !== L)
  ) {
    throw door.range(`\`segments\` must be ${B} rows of ${L} numbers, as \`ids\` has, one for each token.`);
  }
  const groups = new Map<number, number[][]>();
  for (const [b, row] of segments.entries()) {
    for (const text of textsOf(row, b * row.length)) {
      const length = lengthOf(text.length);
      groups.set(length, [...(groups.get(length) ?? []), text]);
    }
  }
  return [...groups.values()].map((texts) => ({
    texts,
    length: Math.max(...texts.map((text) => text.length)),
  }));
}

function textsOf(row: readonly number[], start: number): number[][] {
  const texts = new Map<number, number[]>();
  for (const [t, id] of row.entries()) {
    const text = texts.get(id) ?? [];
    text.push(start + t);
    texts.set(id, text);
  }
  return [...texts.values()];
}

/** `x [B, L]` int32 by texts, `[texts, length]`, with `padding` after the shorter ones. */
export function unpack(x: Tensor2D, { texts, length }: Group, padding: number): Tensor2D {
  const flat = tf.concat([tf.reshape(x, [-1]), tf.tensor1d([padding], 'int32')]);
  const places = texts.map((text) => Array.from({ length }, (_, t) => text[t] ?? x.size));
  return tf.gather(flat, tf.tensor2d(places, [texts.length, length], 'int32')) as Tensor2D;
}

/** What was made of each token, `[rows, length, width]` of every pack, in the places of the call's rows `[B, L]`. */
export function repack(
  results: readonly Tensor[],
  packs: readonly Pack[],
  [B, L]: readonly number[],
): Tensor {
  const [first] = results as [Tensor];
  if (packs[0]?.group === undefined) {
    return first;
  }
  const width = first.shape[2] as number;
  const places = new Int32Array((B as number) * (L as number));
  let start = 0;
  for (const { texts, length } of packs.map(({ group }) => group as Group)) {
    for (const text of texts) {
      for (const [t, token] of text.entries()) {
        places[token] = start + t;
      }
      start += length;
    }
  }
  const rows = tf.concat(results.map((x) => tf.reshape(x, [-1, width]) as Tensor2D));
  return tf.reshape(rowsAt(places)(rows), [B as number, L as number, width]);
}
