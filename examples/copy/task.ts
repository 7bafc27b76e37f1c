/** The duplication task of the Reformer paper: `0w0w`, where w is drawn at random and must be repeated. */

import { randomNumbers } from '../training/random.js';

export interface Task {
  /** L, the symbols of a sequence: an even number from 4 up, two zeros and twice w. */
  readonly length: number;
  /** Symbols, the zero among them: w is of 1 … vocabulary−1. */
  readonly vocabulary: number;
}

/** Which sequences a seed stands for: those trained on are none of those asked in the end. */
export type Purpose = 'train' | 'evaluate';

const PURPOSES: Record<Purpose, number> = { train: 0x7261696e, evaluate: 0x6576616c };

/** `[count, L]`, row after row; the same for the same seed and step, so that a run can go on where it was left. */
export function sequences(
  { length, vocabulary }: Task,
  count: number,
  { seed, step, purpose }: { readonly seed: number; readonly step: number; readonly purpose: Purpose },
): Int32Array {
  const half = length / 2;
  const random = randomNumbers(seed ^ PURPOSES[purpose], step);
  const symbols = new Int32Array(count * length);
  for (let first = 0; first < symbols.length; first += length) {
    for (let i = 1; i < half; i++) {
      const symbol = 1 + Math.floor(random() * (vocabulary - 1));
      symbols[first + i] = symbol;
      symbols[first + half + i] = symbol;
    }
  }
  return symbols;
}
