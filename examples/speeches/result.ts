/** What the ladder finds out. */
import type { Measurement } from './measure.js';
import type { Score } from './score.js';

/** The rounds that LSH attention is tried with. */
export const ROUNDS = [1, 2, 4, 8] as const;
export type Method = 'dense' | `LSH ${(typeof ROUNDS)[number]}`;
export const METHODS: readonly Method[] = ['dense', ...ROUNDS.map((rounds): Method => `LSH ${rounds}`)];

/** The rounds that quotations are taken from. */
export const QUOTED_ROUNDS = 4;
export const QUOTED = `LSH ${QUOTED_ROUNDS}` satisfies Method;

/** One method at one length. */
export interface Result extends Score, Omit<Measurement, 'answers'> {
  readonly method: Method;
  readonly length: number;
}

/** One length: a memory of so many words. */
export interface Step {
  readonly length: number;
  /** The words asked for. */
  readonly truth: readonly number[];
  readonly results: Result[];
  /** Share of questions that exact attention gets right. */
  exactRight: number;
}
