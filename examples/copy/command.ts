/** The command line of train-copy. */
import { join } from 'node:path';
import { MOST, parsedTraining } from '../training/command.js';
import { DEFAULT_RECIPE } from './run.js';
import type { Recipe } from './trainer.js';

const D = DEFAULT_RECIPE;
const DEFAULTS = { steps: 600, hashes: 2, folder: 'checkpoints/copy', recipe: D };

export const HELP = `npm run train:copy -- [options]
A sequence is 0w0w, w drawn at random; a model of one layer is to say the second w, symbol by symbol.
  --steps N       steps in all (default ${DEFAULTS.steps})
  --seconds N     stop after so long, to go on another time (default: no limit)
  --hashes N      rounds of LSH attention (default ${DEFAULTS.hashes})
  --dense         exact attention in place of LSH
  --length N      of a sequence, even: two zeros and twice w (default ${D.length})
  --vocab N       symbols, zero among them (default ${D.vocabulary})
  --chunk N       tokens of a chunk (default ${D.chunkLength})
  --width N       features of a token (default ${D.width})
  --heads N       a divisor of the width (default ${D.heads})
  --hidden N      features inside the feed-forward network (default ${D.hidden})
  --batch N       sequences of a step (default ${D.batch})
  --rate X        the highest learning rate (default ${D.rate})
  --seed N        of weights, sequences and hashes (default ${D.seed})
  --checkpoint F  folder of the checkpoint; a run goes on from there (default ${DEFAULTS.folder})
  --fresh         start over, whatever the checkpoint holds
  --out FILE      picture of the loss (default training.html)
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C ends after the step at hand, and saves.`;

export interface Command {
  readonly recipe: Recipe;
  readonly steps: number;
  readonly seconds: number;
  readonly fresh: boolean;
  /** The checkpoint. */
  readonly path: string;
  readonly out: string;
}

/**
 * @returns undefined where help is asked for.
 * @throws RangeError for a value, TypeError for an option that is not known.
 */
export function parsedCommand(args: string[]): Command | undefined {
  const parsed = parsedTraining(args, DEFAULTS, ['vocab']);
  if (parsed === undefined) {
    return undefined;
  }
  const { recipe, number, folder, ...run } = parsed;
  return {
    ...run,
    recipe: {
      ...recipe,
      length: number('length', D.length, 4, MOST, 2),
      vocabulary: number('vocab', D.vocabulary, 2, MOST),
      chunkLength: number('chunk', D.chunkLength, 1, MOST),
    },
    path: join(folder, 'checkpoint.safetensors'),
  };
}
