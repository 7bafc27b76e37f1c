/**
 * LSH attention as tf ops against dense attention as tf ops, on the backends without our kernels:
 * `npm run gpu -- bench/composed.ts [--backends cpu,wasm,tensorflow] [--lengths 1024,2048] [--heads 8] [--runs 3]
 * [--training] [--causal]`. No GPU is used; a backend is measured in a process of its own. `tensorflow` is
 * tfjs-node, which `node scripts/installTfjsNode.mjs` installs; where it does not run it is named as absent.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // gradients
import type { Params } from './findings.js';
import { Inputs, SETS } from './inputs.js';
import { checked, type Given, timed, trained, type Way, waysOf } from './ours.js';
import { type Spread, spread } from './statistics.js';
import { loadTfjsNode } from './tfjsNode.js';

const FILE = fileURLToPath(import.meta.url);
const SHAPE = { B: 1, D: 64, R: 4, C: 64 };

export interface ComposedOptions {
  readonly backends: readonly string[];
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly runs: number;
  /** Forward and backward. */
  readonly training: boolean;
  readonly causal: boolean;
}

/** LSH attention on a backend, and what was measured beside it: `tfjs`, and `dense`, ours. */
export interface ComposedRow {
  readonly backend: string;
  readonly training: boolean;
  readonly params: Params;
  /** Milliseconds of a call. */
  readonly ms: Readonly<Record<'lsh' | 'dense' | 'tfjs', Spread>>;
  /** Largest difference from float64 over the largest value, of a sample of rows. */
  readonly maxError: number;
  /** The other's time over that of LSH attention. */
  readonly against: Readonly<Record<'dense' | 'tfjs', number>>;
}

/** The rows of every backend that runs here; of the others the reason why not, on stderr. */
export async function benchComposed({ backends, ...options }: ComposedOptions): Promise<ComposedRow[]> {
  return backends.flatMap((backend) => {
    const args = [FILE, '--backend', backend, '--options', JSON.stringify(options)];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, ...args], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      process.stderr.write(
        `${backend} is absent: ${stderr.match(/^\w*Error: .*$/m)?.[0] ?? stderr.slice(-300)}\n`,
      );
      return [];
    }
    return stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  });
}

async function measureBackend(backend: string, options: Omit<ComposedOptions, 'backends'>): Promise<void> {
  if (backend === 'tensorflow') {
    loadTfjsNode();
  }
  await tf.setBackend(backend);
  for (const L of options.lengths) {
    const params = { ...SHAPE, H: options.heads, L, causal: options.causal };
    console.log(JSON.stringify(await measure(backend, params, options)));
  }
}

async function measure(
  backend: string,
  params: Params,
  { training, runs }: Omit<ComposedOptions, 'backends'>,
): Promise<ComposedRow> {
  const { B, H, L, D } = params;
  const inputs = new Inputs();
  const given = SETS.map((set): Given => {
    const part = (start: number) => tf.tensor(inputs.part(start, B * H * L * D), [B, H, L, D]);
    return { q: part(set.q), k: part(set.k), v: part(set.v) };
  });
  const { lsh, dense, tfjs } = waysOf({ rotation: 'gaussian' });
  const times = { lsh: [] as number[], dense: [] as number[], tfjs: [] as number[] };
  let maxError = 0;
  for (let run = -1; run < runs; run++) {
    const set = given[(run + 1) % given.length] as Given;
    for (const way of [lsh, dense, tfjs]) {
      const call = () => (training ? trained(way, set, params) : way.call(set, params));
      if (run < 0) {
        maxError = Math.max(maxError, await warmUp(way, set, params, inputs));
        await timed(call);
      } else {
        times[way.name as keyof typeof times].push(await timed(call));
      }
    }
  }
  const ms = { lsh: spread(times.lsh), dense: spread(times.dense), tfjs: spread(times.tfjs) };
  const against = { dense: ms.dense.median / ms.lsh.median, tfjs: ms.tfjs.median / ms.lsh.median };
  tf.dispose(given as unknown as tf.TensorContainer);
  return { backend, training, params, ms, maxError, against };
}

/** Runs a way once, and returns its error. */
async function warmUp(way: Way, set: Given, params: Params, inputs: Inputs): Promise<number> {
  const result = tf.tidy(() => way.call(set, params));
  const out = (await result.data()) as Float32Array;
  result.dispose();
  return await checked(way, out, params, inputs, set, { rotation: 'gaussian' });
}

function table(rows: readonly ComposedRow[]): string {
  const ms = ({ median, min, max }: Spread) => `${median.toFixed(0)} (${min.toFixed(0)}–${max.toFixed(0)})`;
  const lines = rows.map(({ backend, training, params, ms: times, against, maxError }) => [
    ...[
      `${backend}${training ? ', training' : ''}`,
      `${params.L}`,
      `${params.H}`,
      params.causal ? 'yes' : 'no',
    ],
    ...[ms(times.lsh), ms(times.tfjs), ms(times.dense), against.tfjs.toFixed(2), maxError.toExponential(1)],
  ]);
  const head = [
    'backend',
    'L',
    'heads',
    'causal',
    'lsh, ms',
    'tf ops dense, ms',
    'our dense, ms',
    '× tf ops',
    'error',
  ];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const { values } = parseArgs({
  options: {
    backend: { type: 'string' },
    options: { type: 'string' },
    backends: { type: 'string', default: 'cpu,wasm,tensorflow' },
    lengths: { type: 'string', default: '1024,2048' },
    heads: { type: 'string', default: '8' },
    runs: { type: 'string', default: '3' },
    training: { type: 'boolean', default: false },
    causal: { type: 'boolean', default: false },
  },
});
if (process.argv[1] === FILE && values.backend !== undefined) {
  await measureBackend(values.backend, JSON.parse(values.options ?? '{}'));
} else if (process.argv[1] === FILE) {
  const rows = await benchComposed({
    backends: values.backends.split(','),
    lengths: values.lengths.split(',').map(Number),
    heads: Number(values.heads),
    runs: Number(values.runs),
    training: values.training,
    causal: values.causal,
  });
  console.log(table(rows));
}
