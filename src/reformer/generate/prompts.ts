import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import { maskOf, type Rows, tokensOf } from '../inputs.js';
import type { Positions } from './localCache.js';

/** Texts of tokens, of any lengths. */
export type Prompts = readonly (readonly number[])[];

/** The prompts that a call is given, without their padding. */
export async function readPrompts(
  door: Door,
  given: Rows,
  mask: Rows | undefined,
  vocabulary: number,
): Promise<Prompts> {
  if (mask === undefined && Array.isArray(given)) {
    if (given.length === 0) {
      throw door.range('`ids` must have a prompt, got none.');
    }
    for (const row of given) {
      tf.dispose(tf.tidy(() => tokensOf(door, 'ids', [row], vocabulary)));
    }
    return given as Prompts;
  }
  const tensors = tf.tidy(() => {
    const ids = tokensOf(door, 'ids', given, vocabulary);
    return { ids: tf.clone(ids), ...(mask && { mask: maskOf(door, mask, ids.shape) }) };
  });
  try {
    const ids = (await tensors.ids.array()) as number[][];
    for (const [b, row] of ids.entries()) {
      for (const id of row) {
        door.integer(`ids[${b}]`, id, 0, vocabulary - 1);
      }
    }
    const masks = (await tensors.mask?.array()) as number[][] | undefined;
    return masks === undefined ? ids : ids.map((row, b) => unpadded(door, row, masks[b] as number[], b));
  } finally {
    tf.dispose(tensors);
  }
}

function unpadded(door: Door, row: readonly number[], mask: readonly number[], b: number): number[] {
  const [first, last] = [mask.indexOf(1), mask.lastIndexOf(1)];
  if (first < 0 || mask.slice(first, last).includes(0)) {
    throw door.range(
      `\`mask\` must have ones without a gap in each row, got ${first < 0 ? 'none' : 'a gap'} in row ${b}. Pad before or after a prompt.`,
    );
  }
  return row.slice(first, last + 1);
}

/** Prompts with padding, of any token, before the shorter ones, and where their tokens stand: below 0 is padding. */
export function padLeft(prompts: Prompts): { ids: Positions; positions: Positions } {
  const longest = Math.max(...prompts.map((prompt) => prompt.length));
  const before = prompts.map((prompt) => longest - prompt.length);
  return {
    ids: prompts.map((prompt, b) => [...Array<number>(before[b] as number).fill(0), ...prompt]),
    positions: before.map((count) => Array.from({ length: longest }, (_, i) => i - count)),
  };
}
