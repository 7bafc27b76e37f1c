/** The suite `scaling`: how time grows when the length doubles, and one very long sequence. */

import { shareOf, workOf } from '../contest.js';
import type { Context } from '../context.js';
import type { Entry } from '../entrant.js';
import { caseOf, type Params } from '../findings.js';
import { SETS } from '../inputs.js';
import { ours } from '../ours.js';
import { repetitions, spread } from '../statistics.js';
import { waysOf } from '../ways.js';

const LENGTHS = [4096, 8192, 16384, 32768, 65536, 131072];
/** A million tokens: one head of depth 32, 2 rounds. */
const LONG = { L: 2 ** 20, H: 1, D: 32, R: 2 };

export async function benchScaling(context: Context): Promise<void> {
  const { options, stopped } = context;
  const { heads: H = 1, depth: D, hashes: R, chunk: C, causal = false } = options;
  const common = { B: 1, C, causal };
  await grow(
    context,
    (options.lengths ?? LENGTHS).map((L): Params => ({ ...common, H, L, D, R })),
  );
  if (options.lengths === undefined && !stopped()) {
    await grow(context, [{ ...common, ...LONG }]);
  }
}

/** All lengths in turns, so that what slows the machine slows them all. */
async function grow(context: Context, lengths: readonly Params[]): Promise<void> {
  const { options, devices, findings, inputs, stopped, save, progress } = context;
  const { lsh } = waysOf(options);
  for (const variant of options.variants) {
    const known = lengths.every((params) =>
      findings.rows.some(
        (row) => row.variant === variant && caseOf(row) === caseOf({ suite: 'scaling', params }),
      ),
    );
    if (known || stopped()) {
      continue;
    }
    const entrant = ours(lsh, variant, devices, options);
    const ready: {
      readonly params: Params;
      readonly entry: Entry;
      readonly n: number;
      readonly times: number[];
    }[] = [];
    for (const params of lengths) {
      if (stopped()) {
        break;
      }
      progress(`${caseOf({ suite: 'scaling', params })}: lsh ${variant}, preparing`);
      const entry = await entrant.prepare({ suite: 'attention', params }, inputs);
      const n = repetitions(await entry.run(0), options.runs);
      ready.push({ params, entry, n, times: [] });
    }
    for (let run = 0; run < options.runs && !stopped(); run++) {
      progress(`scaling ${variant}: run ${run + 1} of ${options.runs}`);
      for (const { entry, n, times } of ready) {
        if (run < n && !stopped()) {
          times.push(await entry.run((run + 1) % SETS.length));
        }
      }
    }
    for (const params of stopped() ? lengths : []) {
      findings.unfinish('scaling', params);
    }
    for (const { params, entry, times } of ready) {
      await entry.dispose();
      if (times.length === 0) {
        continue;
      }
      const ms = spread(times);
      const work = workOf('attention', 'lsh', params, options.rotation);
      const half = ready.find((one) => 2 * one.params.L === params.L);
      const growth = half && half.times.length > 0 && growthOf(half.times, times);
      findings.rows.push({
        ...{ suite: 'scaling', name: 'lsh', variant, params, ms },
        gflops: work.operations / ms.median / 1e6,
        share: shareOf(work, ms.median, findings.ceilings),
        ...(entry.bytesPeak !== undefined && { bytesPeak: entry.bytesPeak }),
        bytesInOut: 12 * params.B * params.H * params.L * params.D,
        ...(entry.maxError !== undefined && { maxError: entry.maxError }),
        against: {},
        extrapolated: [],
        ...(growth && { growth }),
      });
    }
    save();
  }
}

/** The median of a run's time over that of half the length in the same turn: what slows the machine slows both. */
function growthOf(half: readonly number[], whole: readonly number[]): number {
  const turns = whole.slice(0, half.length).map((time, turn) => time / (half[turn] as number));
  return spread(turns).median;
}
