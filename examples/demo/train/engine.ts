/** Trains a language model on the duplication task, step by step, until it is told to pause. */
import type { Attention } from '../../copy/model.js';
import { Trainer } from '../../copy/trainer.js';
import type { OpenEngine } from '../page/messages.js';
import type { TrainNews, TrainQuestion } from './question.js';
import { TASKS, type TaskName } from './tasks.js';

/** Draws of the rotations that an accuracy is the mean of. */
const DRAWS = 2;

export const openTrain: OpenEngine<TrainQuestion, undefined, TrainNews> = (_device, tell) => {
  const run = new Run(tell);
  return async (question) => {
    switch (question.kind) {
      case 'begin':
        run.begin(question.task, question.attention);
        break;
      case 'run':
        run.evaluated = question.evaluated;
        await run.go();
        break;
      case 'pause':
        run.running = false;
        break;
      case 'evaluate':
        run.evaluated = question.evaluated;
        await run.measure();
    }
    return undefined;
  };
};

class Run {
  running = false;
  evaluated: Attention = 1;
  private task: TaskName = 'small';
  private trainer: Trainer | undefined;

  constructor(private readonly tell: (news: TrainNews) => void) {}

  begin(task: TaskName, attention: Attention): void {
    this.trainer?.dispose();
    this.task = task;
    this.trainer = new Trainer({ ...TASKS[task].recipe, attention });
  }

  async go(): Promise<void> {
    const { steps, measureEvery } = TASKS[this.task];
    const trainer = this.trainer as Trainer;
    this.running = true;
    await this.measure();
    while (this.running && trainer.step < steps) {
      const loss = await trainer.train(steps);
      this.tell({ kind: 'step', step: trainer.step, loss });
      if (trainer.step % measureEvery === 0) {
        await this.measure();
      }
      await turn();
    }
    this.running = false;
  }

  async measure(): Promise<void> {
    const { trainer, evaluated } = this;
    if (trainer !== undefined) {
      const { step } = trainer;
      const value = await trainer.accuracy(evaluated, { batches: 1, hashes: DRAWS });
      this.tell({ kind: 'accuracy', step, attention: evaluated, value });
    }
  }
}

/** Lets the page's messages in: on a processor tfjs is never waiting. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
