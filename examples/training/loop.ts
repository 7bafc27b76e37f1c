/** A training run from its checkpoint, if there is one, to its end, or to where it is stopped. */
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { Checkpoint } from './resume.js';

/** One model on its way. */
export interface Trainable {
  /** Steps done. */
  readonly step: number;
  /** One step of `steps`; returns its loss. */
  train(steps: number): Promise<number>;
  /** What is measured beside the loss now and then; kept in the history. */
  measure(): Promise<number>;
  checkpoint(): Promise<Checkpoint>;
  /**
   * Goes on where a run was left.
   * @throws Error for a run of another recipe.
   */
  restore(checkpoint: Checkpoint, path: string): Promise<void>;
}

export interface Progress {
  readonly step: number;
  /** The mean since the last report. */
  readonly loss: number;
  /** What {@link Trainable.measure} returned. */
  readonly measured: number;
  /** Training alone. */
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
}

export interface Run<T extends Trainable> {
  readonly trainer: T;
  /** Steps in all. */
  readonly steps: number;
  /** Steps between two lines of progress, and two measurements. */
  readonly reportEvery: number;
  /** Steps between two checkpoints. */
  readonly saveEvery: number;
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

/** Trains, and saves now and then and at the end. `trainer.step` is less than `steps` where it was stopped. */
export async function train<T extends Trainable>(run: Run<T>): Promise<T> {
  const { trainer, steps, path, fresh } = run;
  const found = fresh ? undefined : readCheckpoint(path);
  if (found !== undefined) {
    await trainer.restore(found, path);
    run.resumed(trainer.step);
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
  while (trainer.step < steps && !run.stopped()) {
    losses.push(await trainer.train(steps));
    const { step } = trainer;
    if (step % run.reportEvery === 0 || step === steps) {
      const stepsPerSecond = (1000 * losses.length) / (performance.now() - since);
      const measured = await trainer.measure();
      const perStep = (performance.now() - since) / 1000 / losses.length;
      const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      run.report({ step, loss, measured, stepsPerSecond, secondsLeft: (steps - step) * perStep });
      since = performance.now();
      losses = [];
    }
    if (step % run.saveEvery === 0) {
      await save();
    }
  }
  await save();
  return trainer;
}

/** Ctrl-C: the first ends a run after the step at hand, another at once. */
export function interruption(): { readonly asked: boolean } {
  const state = { asked: false };
  process.once('SIGINT', () => {
    state.asked = true;
    process.stderr.write('stopping after this step; Ctrl-C again ends at once, with the checkpoint before\n');
  });
  return state;
}
