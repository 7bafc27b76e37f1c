/** Places that LSH attention found, in words. */

import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import type { Corpus } from './corpus.js';
import { CONTEXT, D, memoryOf } from './memory.js';
import { QUOTED_ROUNDS } from './result.js';

/** A next word that LSH took, rightly, from one earlier place. Positions are in the corpus. */
export interface Quotation {
  /** The position whose next word is asked for. */
  readonly asked: number;
  /** The earlier position that held most of the attention. */
  readonly found: number;
  /** At least this share of the attention lay there. */
  readonly share: number;
  /** How many words before both positions are equal, up to eight. */
  readonly matching: number;
}

/** Binary digits of a position. */
const DIGITS = 20;
const LEAST_SHARE = 0.9;
const LEAST_DISTANCE = 4000;
/** The positions looked at: at most so many, the last. */
const MOST_ASKED = 4096;

export interface Quotations {
  /** How many positions were looked at. */
  readonly asked: number;
  /** How many of them LSH answered rightly from one place far back with the same context. */
  readonly found: number;
  /** A few of those: the longest equal passages, the farthest first. */
  readonly chosen: readonly Quotation[];
}

/**
 * Asks attention itself where it looks: with the binary digits of each position as values, its
 * output is a mixture of the digits of the places it saw. Where all digits are nearly 0 or 1, one
 * place has nearly all the weight: 1 less the sum of what is missing from them.
 */
export async function findQuotations(corpus: Corpus, length: number, most: number): Promise<Quotations> {
  const end = corpus.words.length - 1;
  const { qk } = memoryOf(corpus.words, end, length);
  const digits = new Float32Array(length * DIGITS);
  for (let n = 0; n < digits.length; n++) {
    digits[n] = (Math.floor(n / DIGITS) >>> (n % DIGITS)) & 1;
  }
  const asked = Math.min(MOST_ASKED, length / 2);
  const looked = tf.tidy(() => {
    const places = tf.tensor2d(digits, [length, DIGITS]);
    const options = { causal: true, numHashes: QUOTED_ROUNDS };
    const out = lshAttention(tf.tensor2d(qk, [length, D]), places, options);
    return tf.slice(out, [length - asked, 0], [asked, DIGITS]);
  });
  const answers = (await looked.data()) as Float32Array;
  looked.dispose();

  const found: Quotation[] = [];
  for (let n = 0; n < asked; n++) {
    const { place, share } = readPlace(answers.subarray(n * DIGITS, (n + 1) * DIGITS));
    const here = end - asked + n;
    const there = end - length + place;
    const right = corpus.words[here + 1] === corpus.words[there + 1];
    const matching = matchingWords(corpus, here, there);
    if (right && share >= LEAST_SHARE && here - there >= LEAST_DISTANCE && matching >= CONTEXT - 1) {
      found.push({ asked: here, found: there, share, matching });
    }
  }
  return { asked, found: found.length, chosen: varied(corpus, found, most) };
}

function readPlace(digits: Float32Array): { place: number; share: number } {
  let place = 0;
  let share = 1;
  digits.forEach((digit, n) => {
    place += Math.round(digit) * 2 ** n;
    share -= Math.abs(digit - Math.round(digit));
  });
  return { place, share };
}

/** The longest, then the farthest; no two with the same answer or about the same passage. */
function varied({ words }: Corpus, found: readonly Quotation[], most: number): Quotation[] {
  const chosen: Quotation[] = [];
  const distance = (one: Quotation) => one.asked - one.found;
  const ranked = [...found].sort((a, b) => b.matching - a.matching || distance(b) - distance(a));
  for (const one of ranked) {
    const alike = chosen.some(({ asked }) => {
      return Math.abs(asked - one.asked) < 16 || words[asked + 1] === words[one.asked + 1];
    });
    if (!alike && chosen.length < most) {
      chosen.push(one);
    }
  }
  return chosen;
}

function matchingWords({ words }: Corpus, a: number, b: number): number {
  let matching = 0;
  while (matching < 8 && words[a - matching] === words[b - matching]) {
    matching++;
  }
  return matching;
}
