/** The command line of train-bytes. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { integer, placed, positive } from '../training/options.js';
import { DEFAULT_RECIPE, type Recipe } from './recipe.js';

const D = DEFAULT_RECIPE;
const DEFAULT_STEPS = 200;
const DEFAULT_HASHES = 1;
const DEFAULT_SAMPLE = 300;

export const HELP = `npm run train:bytes -- [options]
A Reformer learns to say the next byte of the State of the Union speeches, one in 20 of which it is not shown.
  --steps N       steps in all (default ${DEFAULT_STEPS})
  --seconds N     stop after so long, to go on another time (default: no limit)
  --hashes N      rounds of LSH attention (default ${DEFAULT_HASHES})
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
  --checkpoint F  folder of the checkpoint and the model; a run goes on from there (default checkpoints/bytes)
  --fresh         start over, whatever the checkpoint holds
  --out FILE      picture of the curves (default training.html)
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C ends after the step at hand, and saves.`;

/** Largest sizes: what tfjs's buffers and a processor's patience hold. */
const MOST = 65536;
const MOST_WIDTH = 1024;

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
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ steps: text, seconds: text, hashes: text, dense: flag, length: text, layers: text, width: text },
      ...{ heads: text, hidden: text, chunk: text, batch: text, rate: text, 'warm-up': text, seed: text },
      ...{ sample: text, checkpoint: text, fresh: flag, out: text, help: flag },
    },
  });
  if (values.help) {
    return undefined;
  }
  if (values.dense && values.hashes !== undefined) {
    throw new RangeError('--dense and --hashes exclude each other. Leave one out.');
  }
  const number = (name: string, otherwise: number, ...bounds: [number, number, number?]) =>
    integer(values, name, otherwise, bounds);
  const width = number('width', D.width, 4, MOST_WIDTH, 4);
  const heads = number('heads', D.heads, 1, width);
  if (width % heads !== 0) {
    throw new RangeError(`--heads must divide the width ${width}, got '${heads}'.`);
  }
  return {
    recipe: {
      length: number('length', D.length, 64, MOST, 64),
      layers: number('layers', D.layers, 1, 100),
      ...{ width, heads },
      hidden: number('hidden', D.hidden, 1, MOST),
      chunkLength: number('chunk', D.chunkLength, 2, MOST, 2),
      attention: values.dense ? 'dense' : number('hashes', DEFAULT_HASHES, 1, 1024),
      batch: number('batch', D.batch, 1, MOST),
      rate: positive(values, 'rate', D.rate),
      warmUp: number('warm-up', D.warmUp, 1, MOST),
      seed: number('seed', D.seed, 0, 2 ** 31),
    },
    steps: number('steps', DEFAULT_STEPS, 1, 1e9),
    seconds: positive(values, 'seconds', Number.POSITIVE_INFINITY),
    fresh: values.fresh,
    sample: number('sample', DEFAULT_SAMPLE, 0, MOST),
    folder: placed(values.checkpoint ?? 'checkpoints/bytes'),
    out: placed(values.out ?? 'training.html'),
  };
}
