/** What the commands of all training runs share: options, how they run, and how they end early. */
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { say } from '../output/terminal.js';
import { interruption, type Progress, type Trainable, train } from './loop.js';
import { integer, placed, positive } from './options.js';

/** Largest sizes: what tfjs's buffers and a processor's patience hold. */
export const MOST = 65536;
const MOST_WIDTH = 1024;

/** What is taken where nothing is said. */
export interface Defaults {
  readonly steps: number;
  /** Rounds of LSH attention. */
  readonly hashes: number;
  /** Of the checkpoint. */
  readonly folder: string;
  readonly recipe: Readonly<Record<'width' | 'heads' | 'hidden' | 'batch' | 'rate' | 'seed', number>>;
  /** What the width must be a multiple of. */
  readonly widthStep?: number;
}

/** Options that all runs have, and how to read those of one alone. */
export interface Parsed {
  readonly recipe: Defaults['recipe'] & { readonly attention: 'dense' | number };
  readonly steps: number;
  readonly seconds: number;
  /** Whether a checkpoint is disregarded. */
  readonly fresh: boolean;
  /** Of the checkpoint. */
  readonly folder: string;
  /** The picture's file. */
  readonly out: string;
  number(name: string, otherwise: number, least: number, most: number, step?: number): number;
}

/**
 * @param own Names of options that only this command has.
 * @returns undefined where help is asked for.
 * @throws RangeError for a value, TypeError for an option that is not known.
 */
export function parsedTraining(
  args: string[],
  { recipe, widthStep = 1, ...defaults }: Defaults,
  own: readonly string[],
): Parsed | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ steps: text, seconds: text, hashes: text, length: text, width: text, heads: text, hidden: text },
      ...{ chunk: text, batch: text, rate: text, seed: text, checkpoint: text, out: text },
      ...{ dense: flag, fresh: flag, help: flag },
      ...(Object.fromEntries(own.map((name) => [name, text])) as Record<never, typeof text>),
    },
  });
  if (values.help) {
    return undefined;
  }
  if (values.dense && values.hashes !== undefined) {
    throw new RangeError('--dense and --hashes exclude each other. Leave one out.');
  }
  const number: Parsed['number'] = (name, otherwise, ...bounds) => integer(values, name, otherwise, bounds);
  const width = number('width', recipe.width, widthStep, MOST_WIDTH, widthStep);
  const heads = number('heads', recipe.heads, 1, width);
  if (width % heads !== 0) {
    throw new RangeError(`--heads must divide the width ${width}, got '${heads}'.`);
  }
  return {
    recipe: {
      ...{ width, heads },
      hidden: number('hidden', recipe.hidden, 1, MOST),
      attention: values.dense ? 'dense' : number('hashes', defaults.hashes, 1, 1024),
      batch: number('batch', recipe.batch, 1, MOST),
      rate: positive(values, 'rate', recipe.rate),
      seed: number('seed', recipe.seed, 0, 2 ** 31),
    },
    steps: number('steps', defaults.steps, 1, 1e9),
    seconds: positive(values, 'seconds', Number.POSITIVE_INFINITY),
    fresh: values.fresh,
    folder: placed(values.checkpoint ?? defaults.folder),
    out: placed(values.out ?? 'training.html'),
    number,
  };
}

/** Runs a command to its exit code; what was asked for in vain is a line with the help, not a stack. */
export async function runCommand<Command>(
  parse: (args: string[]) => Command | undefined,
  help: string,
  main: (command: Command) => Promise<number>,
): Promise<void> {
  try {
    const command = parse(process.argv.slice(2));
    if (command === undefined) {
      console.log(help);
    } else {
      process.exitCode = await main(command);
    }
  } catch (error) {
    const { name, message } = error as Error;
    const asked = name === 'RangeError' || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    console.error(asked ? `${message}\n${help}` : message);
    process.exitCode = 1;
  }
}

/** A file as people see it from where they stand. */
export function shown(file: string): string {
  return relative(process.cwd(), file) || file;
}

export interface Training<T extends Trainable> {
  readonly trainer: T;
  readonly steps: number;
  readonly seconds: number;
  /** The checkpoint. */
  readonly path: string;
  readonly fresh: boolean;
  readonly reportEvery: number;
  readonly saveEvery: number;
  line(now: Progress): string;
  /** Draws what has been seen of the run, and returns the file. */
  draw(): string;
}

/** Trains to the last step. @returns the exit code of a run that is stopped before; else undefined. */
export async function trainToEnd<T extends Trainable>(run: Training<T>): Promise<number | undefined> {
  const { trainer, steps, seconds, path, line } = run;
  const interrupted = interruption();
  const started = performance.now();
  await train({
    ...run,
    stopped: () => interrupted.asked || performance.now() - started >= 1000 * seconds,
    resumed: (step) => say(`going on from step ${step}, in ${shown(path)}; --fresh starts over`),
    report: (now) => say(line(now)),
  });
  const { step } = trainer;
  const code = interrupted.asked ? 130 : 0;
  if (step === 0) {
    say('Stopped before the first step: nothing to save.');
    return code;
  }
  say(`Saved ${shown(path)}, drew ${shown(run.draw())}.`);
  if (step < steps) {
    say(`Stopped after step ${step} of ${steps}. The same command goes on from there; --fresh starts over.`);
    return code;
  }
  return undefined;
}
