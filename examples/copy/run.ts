/** A training run from its checkpoint, if there is one, to its end, or to where it is stopped. */
import * as tf from '@tensorflow/tfjs-core';
import { type AdapterSummary, useWebGPU } from 'tfjs-lsh-attention/node';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { Attention } from './model.js';
import { type Recipe, Trainer } from './trainer.js';

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

/** Steps between two lines of progress, and two points of the accuracy. */
const REPORT_EVERY = 20;
/** Steps between two checkpoints. */
const SAVE_EVERY = 100;

export interface Progress {
  readonly step: number;
  /** The mean since the last report. */
  readonly loss: number;
  readonly accuracy: number;
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
}

export interface Run {
  readonly recipe: Recipe;
  /** Steps in all. */
  readonly steps: number;
  /** The checkpoint. */
  readonly path: string;
  /** Whether a checkpoint is disregarded, and in time overwritten. */
  readonly fresh: boolean;
  /** Asked after each step. */
  stopped(): boolean;
  /** Called where a checkpoint was found. */
  resumed(step: number): void;
  report(progress: Progress): void;
}

/** Trains, and saves now and then and at the end. `trainer.step` of the result is less than `steps` where it was stopped. */
export async function train({ recipe, steps, path, fresh, stopped, resumed, report }: Run): Promise<Trainer> {
  const found = fresh ? undefined : readCheckpoint(path);
  const trainer = new Trainer(recipe);
  if (found !== undefined) {
    await trainer.restore(found, path);
    resumed(trainer.step);
  }
  let saved = trainer.step;
  const save = async () => {
    if (trainer.step !== saved) {
      writeCheckpoint(path, await trainer.checkpoint());
      saved = trainer.step;
    }
  };
  let since = performance.now();
  let losses: number[] = [];
  while (trainer.step < steps && !stopped()) {
    losses.push(await trainer.train(steps));
    const { step } = trainer;
    if (step % REPORT_EVERY === 0 || step === steps) {
      const accuracy = await trainer.accuracy(recipe.attention, { batches: 1, hashes: 1 });
      trainer.history.accuracies.push({ step, value: accuracy });
      const stepsPerSecond = (1000 * losses.length) / (performance.now() - since);
      const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      report({ step, loss, accuracy, stepsPerSecond, secondsLeft: (steps - step) / stepsPerSecond });
      since = performance.now();
      losses = [];
    }
    if (step % SAVE_EVERY === 0) {
      await save();
    }
  }
  await save();
  return trainer;
}

/** {@link useWebGPU}, with what suits training on its adapter. */
export async function useTrainingGPU(): Promise<AdapterSummary> {
  const summary = await useWebGPU();
  if (summary.kind !== 'gpu') {
    // tfjs has several matrix products, and would choose for a GPU; on a processor the tiled one is
    // faster by up to 15 times.
    tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', TILED);
  }
  return summary;
}

/** The tiled ("packed") program among tfjs's products. */
const TILED = 3;

/** An attention's name. */
export function named(attention: Attention): string {
  return attention === 'dense' ? 'dense' : `LSH-${attention}`;
}

/** One line of progress. */
export function progressLine(
  { step, loss, accuracy, stepsPerSecond, secondsLeft }: Progress,
  steps: number,
): string {
  const left = secondsLeft >= 90 ? `${Math.round(secondsLeft / 60)} min` : `${Math.round(secondsLeft)} s`;
  return [
    `step ${String(step).padStart(String(steps).length)} of ${steps}`,
    `loss ${loss.toFixed(4)}`,
    `accuracy ${(100 * accuracy).toFixed(1).padStart(5)} %`,
    `${stepsPerSecond.toFixed(2)} steps/s`,
    `${left} left`,
  ].join('   ');
}
