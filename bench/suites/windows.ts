/** The suite `windows`: buckets as windows beside chunks, at equal pairs; and one bucket of half the tokens. */
import * as tf from '@tensorflow/tfjs-core';
import { type LshAttentionOptions, lshAttention } from 'tfjs-lsh-attention';
import { shareOf } from '../contest.js';
import type { Context } from '../context.js';
import { bucketRow, errorOf, lshRow } from '../exact.js';
import { caseOf, type Params, type Row } from '../findings.js';
import { SETS } from '../inputs.js';
import { VARIANTS, type Variant } from '../options.js';
import { timed } from '../ours.js';
import { repetitions, spread } from '../statistics.js';

const LENGTHS = [4096];
/** Errors beyond this are no rounding. */
const WRONG = 1e-4;

type Windows = NonNullable<Row['windows']>;

/** One way to see pairs of tokens. */
interface Ready {
  readonly variant: Variant;
  readonly windows: Windows;
  /** Pairs of a head in all rounds. */
  readonly pairs: number;
  readonly maxError: number;
  readonly run: (set: number) => Promise<number>;
  readonly times: number[];
  dispose(): void;
}

export async function benchWindows(context: Context): Promise<void> {
  const { options, findings, stopped, save, progress } = context;
  const { heads: H = 8, depth: D, hashes: R, chunk: C, causal = false } = options;
  for (const L of options.lengths ?? LENGTHS) {
    const params: Params = { B: 1, H, L, D, R, C, causal };
    const title = caseOf({ suite: 'windows', params });
    if (findings.has('windows', params) || stopped()) {
      continue;
    }
    const ready: Ready[] = [];
    for (const variant of VARIANTS.filter((one) => options.variants.includes(one))) {
      for (const windows of ['chunk', 'bucket', 'half'] as const) {
        progress(`${title}: ${windows} ${variant}, preparing`);
        ready.push(await prepared(context, params, variant, windows));
      }
    }
    const n = repetitions(Math.max(...(await inTurns(ready, 0))), options.runs);
    for (let run = 1; run <= n && !stopped(); run++) {
      progress(`${title}: run ${run} of ${n}`);
      for (const [i, milliseconds] of (await inTurns(ready, run % SETS.length)).entries()) {
        ready[i]?.times.push(milliseconds);
      }
    }
    for (const one of ready) {
      one.dispose();
    }
    if (stopped()) {
      findings.unfinish('windows', params);
    }
    addRows(context, params, ready);
    save();
  }
}

async function inTurns(ready: readonly Ready[], set: number): Promise<number[]> {
  const times: number[] = [];
  for (const { run } of ready) {
    times.push(await run(set));
  }
  return times;
}

async function prepared(
  { inputs, devices }: Context,
  params: Params,
  variant: Variant,
  windows: Windows,
): Promise<Ready> {
  devices.use(variant);
  const { H, L, D, R, C, causal } = params;
  const count = H * L * D;
  const ids = bucketsOf(params, windows);
  const buckets = tf.tensor(ids, [1, H, R, L], 'int32');
  const options: LshAttentionOptions = {
    ...{ numHashes: R, chunkLength: C, causal, buckets, numBuckets: numberOf(params) },
    window: windows === 'chunk' ? 'chunk' : 'bucket',
  };
  const given = SETS.map(({ q, v }) =>
    [q, v].map((start) => tf.tensor(inputs.part(start, count), [1, H, L, D])),
  ) as [tf.Tensor, tf.Tensor][];
  const call = (set: number) => lshAttention(...(given[set] as [tf.Tensor, tf.Tensor]), options);
  const out = tf.tidy(() => call(0));
  const { q, v } = SETS[0] as (typeof SETS)[0];
  const tensors = {
    ...{ q: inputs.part(q, count), v: inputs.part(v, count), scale: 1 },
    at: (head: number, token: number) => (head * L + token) * D,
  };
  const exactRow = windows === 'chunk' ? lshRow : bucketRow;
  const maxError = errorOf(
    (await out.data()) as Float32Array,
    (place) => exactRow(tensors, params, ids, place),
    tensors,
    params,
  );
  out.dispose();
  if (!(maxError < WRONG)) {
    throw new Error(`windows: ${windows} is off float64 by ${maxError.toExponential(1)}.`);
  }
  const run = (set: number) => {
    devices.use(variant);
    return timed(() => call(set));
  };
  const dispose = () => tf.dispose([buckets, ...given.flat()]);
  return { variant, windows, pairs: pairsOf(params, windows, ids), maxError, run, times: [], dispose };
}

/** Buckets of two chunks each: windows of as many tokens as a chunk and the one before it. */
function numberOf({ L, C }: Params): number {
  return Math.max(2, 2 * Math.ceil(L / (4 * C)));
}

/** Buckets `[H, R, L]` of equal sizes, whose tokens lie far apart; with `half`, the first has half of all. */
function bucketsOf(params: Params, windows: Windows): Int32Array {
  const { H, L, R } = params;
  const N = numberOf(params);
  return Int32Array.from({ length: H * R * L }, (_, i) => {
    const [token, row] = [i % L, Math.floor(i / L)];
    const place = (token * 2654435761 + row * 40503) % L; // odd: where L is a power of two, a permutation
    return windows === 'half' && place < L / 2 ? 0 : Math.floor((place * N) / L);
  });
}

/** Pairs of a head in all rounds, the hidden ones of causal attention too. */
function pairsOf({ L, R, C, H }: Params, windows: Windows, ids: Int32Array): number {
  if (windows === 'chunk') {
    return L * R * 2 * C;
  }
  let pairs = 0;
  for (let row = 0; row < H * R; row++) {
    const sizes = new Map<number, number>();
    for (const id of ids.subarray(row * L, (row + 1) * L)) {
      sizes.set(id, (sizes.get(id) ?? 0) + 1);
    }
    for (const size of sizes.values()) {
      pairs += size * size;
    }
  }
  return pairs / H;
}

function addRows({ findings }: Context, params: Params, ready: readonly Ready[]): void {
  const { H, D } = params;
  for (const { variant, windows, pairs, maxError, times } of ready.filter((one) => one.times.length > 0)) {
    const ms = spread(times);
    const operations = 4 * H * D * pairs;
    findings.rows.push({
      ...{ suite: 'windows', name: 'lsh', variant, params, ms, windows, pairs, maxError },
      gflops: operations / ms.median / 1e6,
      share: shareOf({ operations, bytes: 0 }, ms.median, findings.ceilings),
      ...{ against: {}, extrapolated: [] },
    });
  }
}
