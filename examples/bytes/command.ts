/** The command line of train-bytes. */
import { join } from 'node:path';
import { MOST, parsedTraining } from '../training/command.js';
import { DEFAULT_RECIPE, type Recipe } from './recipe.js';

const D = DEFAULT_RECIPE;
const DEFAULTS = { steps: 200, hashes: 1, folder: 'checkpoints/bytes', recipe: D, widthStep: 4 };
const DEFAULT_SAMPLE = 300;

export const HELP = `npm run train:bytes -- [options]
A Reformer learns to say the next byte of the State of the Union speeches, one in 20 of which it is not shown.
  --steps N       steps in all (default ${DEFAULTS.steps})
  --seconds N     stop after so long, to go on another time (default: no limit)
  --hashes N      rounds of LSH attention (default ${DEFAULTS.hashes})
  --dense         exact attention in place of LSH, to compare
  --length N      bytes of a sequence, a multiple of 64 (default ${D.length})
  --layers N      local and LSH layers by turns (default ${D.layers})
  --width N       features of a byte (default ${D.width})
  --heads N       a divisor of the width (default ${D.heads})
  --hidden N      features inside the feed-forward parts (default ${D.hidden})
  --chunk N       tokens of a chunk of LSH layers, even; local ones have half (default ${D.chunkLength})
  --batch N       sequences of a step (default ${D.batch})
  --rate X        the highest learning rate (default ${D.rate})
  --warm-up N     steps in which the rate rises to it (default ${D.warmUp})
  --seed N        of weights, sequences, hashes and the sample (default ${D.seed})
  --sample N      bytes that are generated at the end (default ${DEFAULT_SAMPLE})
  --checkpoint F  folder of the checkpoint and the model; a run goes on from there (default ${DEFAULTS.folder})
  --fresh         start over, whatever the checkpoint holds
  --out FILE      picture of the curves (default training.html)
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C ends after the step at hand, and saves.`;

export interface Command {
  readonly recipe: Recipe;
  readonly steps: number;
  readonly seconds: number;
  readonly fresh: boolean;
  /** Bytes to generate. */
  readonly sample: number;
  readonly folder: string;
  readonly out: string;
}

/** The files of a run in its folder: runs with exact attention have their own. */
export function filesOf({ folder, recipe }: Pick<Command, 'folder' | 'recipe'>) {
  const name = recipe.attention === 'dense' ? 'dense' : 'lsh';
  const other = name === 'dense' ? 'lsh' : 'dense';
  return {
    checkpoint: join(folder, `${name}.safetensors`),
    model: join(folder, name),
    result: join(folder, `${name}.json`),
    otherResult: join(folder, `${other}.json`),
  };
}

/**
 * @returns undefined where help is asked for.
 * @throws RangeError for a value, TypeError for an option that is not known.
 */
export function parsedCommand(args: string[]): Command | undefined {
  const parsed = parsedTraining(args, DEFAULTS, ['layers', 'warm-up', 'sample']);
  if (parsed === undefined) {
    return undefined;
  }
  const { recipe, number, ...run } = parsed;
  return {
    ...run,
    recipe: {
      ...recipe,
      length: number('length', D.length, 64, MOST, 64),
      layers: number('layers', D.layers, 1, 100),
      chunkLength: number('chunk', D.chunkLength, 2, MOST, 2),
      warmUp: number('warm-up', D.warmUp, 1, MOST),
    },
    sample: number('sample', DEFAULT_SAMPLE, 0, MOST),
  };
}
