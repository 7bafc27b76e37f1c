/** The suite `kernels`: every kernel of a call and of its gradient, and its share of the ceiling that binds it. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { type PassTime, profile } from 'tfjs-lsh-attention/webgpu';
import { shareOf } from '../contest.js';
import type { Context } from '../context.js';
import { caseOf, type Params } from '../findings.js';
import { SETS } from '../inputs.js';
import type { Variant } from '../options.js';
import { repetitions, spread } from '../statistics.js';
import { type Given, type Way, waysOf } from '../ways.js';
import { benchOverhead } from './overhead.js';

const LENGTHS = [1024, 4096, 16384];
/** Dense attention beyond is the suite attention's matter. */
const LONGEST_DENSE = 4096;

/** A way on a device, with what each of its kernels took in every run. */
interface Profiled {
  readonly way: Way;
  readonly variant: Variant;
  readonly given: readonly Given[];
  readonly runs: Record<'forward' | 'backward', PassTime[][]>;
  readonly n: number;
}

export async function benchKernels(context: Context): Promise<void> {
  const { options, findings, stopped, save, progress } = context;
  const { lsh, dense } = waysOf(options);
  const { heads: H = 8, depth: D, hashes: R, chunk: C, causal = false } = options;
  for (const way of [lsh, dense]) {
    for (const variant of options.variants) {
      if (!stopped()) {
        await benchOverhead(context, way, variant, { B: 1, H, L: 1, D, R, C, causal });
      }
    }
  }
  for (const L of options.lengths ?? LENGTHS) {
    const params: Params = { B: 1, H, L, D, R, C, causal };
    if (findings.has('kernels', params)) {
      progress(`${caseOf({ suite: 'kernels', params })}: measured before`);
      continue;
    }
    await benchLength(context, params);
    if (stopped()) {
      findings.unfinish('kernels', params);
    }
    save();
    if (stopped()) {
      return;
    }
  }
}

async function benchLength(context: Context, params: Params): Promise<void> {
  const { options, devices, stopped, progress } = context;
  const title = caseOf({ suite: 'kernels', params });
  const { lsh, dense } = waysOf(options);
  const profiled: Profiled[] = [];
  for (const way of params.L <= LONGEST_DENSE ? [lsh, dense] : [lsh]) {
    for (const variant of options.variants) {
      if (stopped()) {
        break;
      }
      progress(`${title}: ${way.name} ${variant}, compiling`);
      devices.use(variant);
      const given = givenOf(context, params);
      const start = performance.now();
      await profileOnce(way, given[0] as Given, params); // compilation and first touch
      const again = performance.now();
      const first = await profileOnce(way, given[0] as Given, params);
      const n = repetitions(performance.now() - again, options.runs);
      progress(`${title}: ${way.name} ${variant}, first call ${((again - start) / 1000).toFixed(1)} s`);
      if (first.forward.length > 0) {
        profiled.push({ way, variant, given, runs: { forward: [], backward: [] }, n });
      } else {
        tf.dispose(given as unknown as tf.TensorContainer); // tf ops, not kernels
      }
    }
  }
  for (let run = 0; run < options.runs && !stopped(); run++) {
    progress(`${title}: run ${run + 1} of ${options.runs}`);
    for (const { way, variant, given, runs, n } of profiled) {
      if (run < n && !stopped()) {
        devices.use(variant);
        const { forward, backward } = await profileOnce(way, given[run % given.length] as Given, params);
        runs.forward.push(forward);
        runs.backward.push(backward);
      }
    }
  }
  for (const one of profiled) {
    tf.dispose(one.given as unknown as tf.TensorContainer);
    addRows(context, one, params);
  }
}

function givenOf({ inputs }: Context, { B, H, L, D }: Params): Given[] {
  return SETS.map(({ q, v }): Given => {
    const part = (start: number) => tf.tensor(inputs.part(start, B * H * L * D), [B, H, L, D]);
    return { q: part(q), v: part(v), k: tf.scalar(0) };
  });
}

/** The passes of a call, and of its gradient alone. */
async function profileOnce(way: Way, { q, k, v }: Given, params: Params) {
  const call = (q: Tensor, v: Tensor) => way.call({ q, k, v }, params);
  const { result, passes: forward } = await profile(() => tf.tidy(() => call(q, v)));
  result.dispose();
  const { result: gradients, passes } = await profile(() =>
    tf.tidy(() => tf.grads((...[q, v]: Tensor[]) => call(q as Tensor, v as Tensor))([q, v], v)),
  );
  tf.dispose(gradients);
  return { forward: [...forward], backward: passes.slice(forward.length) };
}

function addRows({ findings }: Context, { way, variant, runs }: Profiled, params: Params): void {
  for (const of of ['forward', 'backward'] as const) {
    const kernels = [...new Set(runs[of].flatMap((passes) => passes.map(({ kernel }) => kernel)))];
    for (const name of kernels) {
      const sums = runs[of].map((passes) => {
        const own = passes.filter(({ kernel }) => kernel === name);
        const sum = (what: 'milliseconds' | 'operations' | 'bytes') =>
          own.reduce((total, pass) => total + pass[what], 0);
        return { ms: sum('milliseconds'), operations: sum('operations'), bytes: sum('bytes') };
      });
      const ms = spread(sums.map((one) => one.ms));
      const work = sums[0] as (typeof sums)[0];
      const median = Math.max(ms.median, 1e-6); // a clock may tick once in a while only
      findings.rows.push({
        ...{ suite: 'kernels', name, variant, params, ms, of, call: way.name as 'lsh' | 'dense' },
        gflops: work.operations / median / 1e6,
        share: shareOf(work, median, findings.ceilings),
        against: {},
        extrapolated: [],
      });
    }
  }
}
