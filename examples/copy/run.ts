/** Runs of the duplication task. */
import { timeLeft } from '../output/numbers.js';
import type { Progress } from '../training/loop.js';
import type { Attention } from './model.js';
import type { Recipe } from './trainer.js';

/** What learns the task in a few hundred steps. */
export const DEFAULT_RECIPE: Omit<Recipe, 'attention'> = {
  length: 64,
  vocabulary: 16,
  width: 64,
  heads: 1,
  hidden: 64,
  chunkLength: 8,
  batch: 16,
  rate: 0.01,
  seed: 1,
};

/** When a run reports, and when it is saved, in steps. */
export const PACE = { reportEvery: 20, saveEvery: 100 };

/** An attention's name. */
export function named(attention: Attention): string {
  return attention === 'dense' ? 'dense' : `LSH-${attention}`;
}

/** One line of progress. */
export function progressLine(
  { step, loss, measured, stepsPerSecond, secondsLeft }: Progress,
  steps: number,
): string {
  return [
    `step ${String(step).padStart(String(steps).length)} of ${steps}`,
    `loss ${loss.toFixed(4)}`,
    `accuracy ${(100 * measured).toFixed(1).padStart(5)} %`,
    `${stepsPerSecond.toFixed(2)} steps/s`,
    timeLeft(secondsLeft),
  ].join('   ');
}
