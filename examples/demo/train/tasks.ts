/** Sizes of the duplication task for a page. */
import { DEFAULT_RECIPE } from '../../copy/run.js';
import type { Recipe } from '../../copy/trainer.js';

export interface TrainTask {
  readonly name: string;
  readonly steps: number;
  /** Steps between two measurements of the accuracy. */
  readonly measureEvery: number;
  readonly recipe: Omit<Recipe, 'attention'>;
}

export const TASKS = {
  small: {
    name: '5 symbols out of 4',
    steps: 150,
    measureEvery: 10,
    recipe: {
      ...DEFAULT_RECIPE,
      ...{ length: 12, vocabulary: 5, width: 16, hidden: 16, chunkLength: 4, rate: 0.02 },
    },
  },
  full: { name: '31 symbols out of 15', steps: 600, measureEvery: 20, recipe: DEFAULT_RECIPE },
} as const satisfies Record<string, TrainTask>;

export type TaskName = keyof typeof TASKS;
