/** The command line of the bench. Pure. */
import { parseArgs } from 'node:util';

export const SUITES = [
  'kernels',
  'attention',
  'training',
  'memory',
  'scaling',
  'peers',
  'windows',
  'composed',
  'copy',
  'search',
] as const;
export type Suite = (typeof SUITES)[number];

/** `plain`: the device that tfjs makes. `best`: an own one, with all that the adapter offers. */
export const VARIANTS = ['plain', 'best'] as const;
export type Variant = (typeof VARIANTS)[number];

export const HELP = `npm run bench -- [--suite NAME[,NAME]|all] [options]
Suites: ${SUITES.join(', ')}; all is every one but copy and search. Default: kernels.
  --lengths 1024,4096   L, where the suite has a list of its own otherwise
  --heads 8             H (scaling: 1; composed: 1 on cpu, 2 on wasm)
  --depth 64            D and E
  --hashes 4            R
  --chunk 64            C
  --causal              causal alone; --no-causal: not causal alone (default: both; kernels, windows, composed: not causal)
  --rotation NAME       gaussian or hadamard
  --variants plain,best devices: tfjs's own, an own one with all that the adapter offers
  --against NAME,…      what to measure beside: tfjs, composed, tfjs-node, tfjs-node-composed, onnxruntime-webgpu,
                        onnxruntime-cpu, torch, reformer-pytorch; or none (default: all that are there)
  --runs 5              timed runs of each, in turns; fewer where one takes above 5 s
  --longest 5           seconds a run may take; what would take longer is extrapolated
  --threads N           of peers on the processor (default: all)
  --install             install the peers into bench/peers first
  --json FILE           write what was measured, after every case
  --resume              go on from that file: what it has is not measured again
  --markdown FILE       write tables
  --html FILE           write a report with charts
Suite copy: --steps 600, --fresh, --json FILE, --markdown FILE. Suite search: --lengths (most
vectors of a set), --runs, --install, --json, --markdown.
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C stops after the run at hand, and writes what there is.`;

export const RIVALS = [
  'tfjs',
  'composed',
  'tfjs-node',
  'tfjs-node-composed',
  'onnxruntime-webgpu',
  'onnxruntime-cpu',
  'torch',
  'reformer-pytorch',
] as const;
/** What is measured beside our kernels: other ways on the same backend, and other libraries. */
export type Rival = (typeof RIVALS)[number];

export interface BenchOptions {
  readonly suites: readonly Suite[];
  readonly lengths?: readonly number[];
  readonly heads?: number;
  readonly depth: number;
  readonly hashes: number;
  readonly chunk: number;
  /** Undefined: both. */
  readonly causal?: boolean;
  readonly rotation: 'gaussian' | 'hadamard';
  readonly variants: readonly Variant[];
  readonly against: readonly Rival[];
  readonly runs: number;
  /** Milliseconds. */
  readonly longest: number;
  readonly threads?: number;
  readonly install: boolean;
  readonly json?: string;
  readonly resume: boolean;
  readonly markdown?: string;
  readonly html?: string;
  readonly steps: number;
  readonly fresh: boolean;
}

/** Largest values: what the op takes. */
const MOST = { length: 2 ** 24, heads: 4096, depth: 256, hashes: 1024, runs: 1000, steps: 1e6 };

/**
 * @returns undefined where help is asked for.
 * @throws RangeError for a value, TypeError for an option that is not known.
 */
export function parsedOptions(args: string[]): BenchOptions | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      ...{ suite: text, lengths: text, heads: text, depth: text, hashes: text, chunk: text, causal: flag },
      ...{ rotation: text, variants: text, against: text, runs: text, longest: text, threads: text },
      ...{ install: flag, json: text, resume: flag, markdown: text, html: text, steps: text, fresh: flag },
      help: flag,
    },
  });
  if (values.help) {
    return undefined;
  }
  const integer = (
    name: 'heads' | 'depth' | 'hashes' | 'chunk' | 'runs' | 'threads' | 'steps',
    most: number,
  ) => (values[name] === undefined ? undefined : integerOf(name, values[name], most));
  const { rotation = 'gaussian' } = values;
  if (rotation !== 'gaussian' && rotation !== 'hadamard') {
    throw new RangeError(`--rotation must be gaussian or hadamard, got '${rotation}'.`);
  }
  if (values.resume && values.json === undefined) {
    throw new RangeError('--resume needs --json FILE: the file to go on from.');
  }
  const longest = Number(values.longest ?? 5);
  if (!(longest > 0)) {
    throw new RangeError(`--longest must be a number of seconds above 0, got '${values.longest}'.`);
  }
  const lengths = values.lengths?.split(',').map((one) => integerOf('lengths', one, MOST.length));
  const heads = integer('heads', MOST.heads);
  const threads = integer('threads', 1024);
  const suites =
    values.suite === 'all' ? SUITES.filter((suite) => suite !== 'copy' && suite !== 'search') : undefined;
  return {
    suites: suites ?? namesOf('suite', values.suite ?? 'kernels', SUITES, 'all'),
    ...(lengths && { lengths: [...new Set(lengths)].sort((a, b) => a - b) }),
    ...(heads !== undefined && { heads }),
    depth: integer('depth', MOST.depth) ?? 64,
    hashes: integer('hashes', MOST.hashes) ?? 4,
    chunk: integer('chunk', MOST.length) ?? 64,
    ...(values.causal !== undefined && { causal: values.causal }),
    rotation,
    variants: namesOf('variants', values.variants ?? VARIANTS.join(), VARIANTS),
    against:
      values.against === 'none' ? [] : namesOf('against', values.against ?? RIVALS.join(), RIVALS, 'none'),
    runs: integer('runs', MOST.runs) ?? 5,
    longest: 1000 * longest,
    ...(threads !== undefined && { threads }),
    install: values.install ?? false,
    ...(values.json !== undefined && { json: values.json }),
    resume: values.resume ?? false,
    ...(values.markdown !== undefined && { markdown: values.markdown }),
    ...(values.html !== undefined && { html: values.html }),
    steps: integer('steps', MOST.steps) ?? 600,
    fresh: values.fresh ?? false,
  };
}

function integerOf(name: string, value: string, most: number): number {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (!(Number.isInteger(number) && number >= 1 && number <= most)) {
    throw new RangeError(`--${name} must be an integer from 1 to ${most}, got '${value}'.`);
  }
  return number;
}

function namesOf<T extends string>(name: string, given: string, known: readonly T[], also?: string): T[] {
  const wanted = [...new Set(given.split(','))];
  const unknown = wanted.find((one) => !known.includes(one as T));
  if (unknown !== undefined) {
    const names = [...known, ...(also === undefined ? [] : [also])];
    throw new RangeError(`--${name} must be of ${names.join(', ')}; got '${unknown}'.`);
  }
  return known.filter((one) => wanted.includes(one));
}
