/** The command line of train-copy. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { integer, placed, positive } from '../training/options.js';
import { DEFAULT_RECIPE } from './run.js';
import type { Recipe } from './trainer.js';

const D = DEFAULT_RECIPE;
const DEFAULT_STEPS = 600;
const DEFAULT_HASHES = 2;

export const HELP = `npm run train:copy -- [options]
A sequence is 0w0w, w drawn at random; a model of one layer is to say the second w, symbol by symbol.
  --steps N       steps in all (default ${DEFAULT_STEPS})
  --seconds N     stop after so long, to go on another time (default: no limit)
  --hashes N      rounds of LSH attention (default ${DEFAULT_HASHES})
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
  --checkpoint F  folder of the checkpoint; a run goes on from there (default checkpoints/copy)
  --fresh         start over, whatever the checkpoint holds
  --out FILE      picture of the loss (default training.html)
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C ends after the step at hand, and saves.`;

/** Largest sizes: what tfjs's buffers and a processor's patience hold. */
const MOST = 65536;
const MOST_WIDTH = 1024;

export interface Command {
  readonly recipe: Recipe;
  readonly steps: number;
  readonly seconds: number;
  readonly fresh: boolean;
  readonly path: string;
  readonly out: string;
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
      ...{ steps: text, seconds: text, hashes: text, dense: flag, length: text, vocab: text, chunk: text },
      ...{ width: text, heads: text, hidden: text, batch: text, rate: text, seed: text },
      ...{ checkpoint: text, fresh: flag, out: text, help: flag },
    },
  });
  if (values.help) {
    return undefined;
  }
  const number = (name: string, otherwise: number, ...bounds: [number, number, number?]) =>
    integer(values, name, otherwise, bounds);
  if (values.dense && values.hashes !== undefined) {
    throw new RangeError('--dense and --hashes exclude each other. Leave one out.');
  }
  const width = number('width', D.width, 1, MOST_WIDTH);
  const heads = number('heads', D.heads, 1, width);
  if (width % heads !== 0) {
    throw new RangeError(`--heads must divide the width ${width}, got '${heads}'.`);
  }
  return {
    recipe: {
      length: number('length', D.length, 4, MOST, 2),
      vocabulary: number('vocab', D.vocabulary, 2, MOST),
      width,
      heads,
      hidden: number('hidden', D.hidden, 1, MOST),
      chunkLength: number('chunk', D.chunkLength, 1, MOST),
      attention: values.dense ? 'dense' : number('hashes', DEFAULT_HASHES, 1, 1024),
      batch: number('batch', D.batch, 1, MOST),
      rate: positive(values, 'rate', D.rate),
      seed: number('seed', D.seed, 0, 2 ** 31),
    },
    steps: number('steps', DEFAULT_STEPS, 1, 1e9),
    seconds: positive(values, 'seconds', Number.POSITIVE_INFINITY),
    fresh: values.fresh,
    path: join(placed(values.checkpoint ?? 'checkpoints/copy'), 'checkpoint.safetensors'),
    out: placed(values.out ?? 'training.html'),
  };
}
