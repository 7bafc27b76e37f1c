/** Entrants measured in turns on one case after the other. */
import { plan } from 'tfjs-lsh-attention';
import { seconds } from '../examples/output/numbers.js';
import { countsOf } from '../src/attention/counts.js';
import type { Context } from './context.js';
import type { Case, Entrant, Entry } from './entrant.js';
import { caseOf, type OtherRow, type Params, type Row } from './findings.js';
import { SETS } from './inputs.js';
import { extrapolated, type Measured, repetitions, type Spread, spread } from './statistics.js';

/** What an entrant did in a case. */
interface Outcome {
  readonly entrant: Entrant;
  readonly ms: Spread;
  /** Its time is extrapolated, not measured. */
  readonly guessed: boolean;
  readonly entry?: Entry;
}

/** What grows with the length alone is not extrapolated, and may take so many times as long. */
const PATIENCE = 4;

/** Measures all cases of a suite, from short to long; times of the shorter tell what is too slow to run. */
export async function contest(
  context: Context,
  entrants: readonly Entrant[],
  cases: readonly Case[],
): Promise<void> {
  const { findings, stopped, save } = context;
  const known = new Map<string, Measured[]>();
  for (const [n, test] of cases.entries()) {
    if (findings.has(test.suite, test.params)) {
      context.progress(`${caseOf(test)}: measured before`);
      continue;
    }
    const outcomes = await meet(context, entrants, test, known, `${n + 1}/${cases.length} ${caseOf(test)}`);
    addRows(context, test, outcomes);
    if (stopped()) {
      findings.unfinish(test.suite, test.params);
    }
    save();
    if (stopped()) {
      return;
    }
  }
}

async function meet(
  { findings, inputs, options, stopped, progress }: Context,
  entrants: readonly Entrant[],
  test: Case,
  known: Map<string, Measured[]>,
  title: string,
): Promise<Outcome[]> {
  const { L, causal } = test.params;
  const ready: {
    readonly entrant: Entrant;
    readonly entry: Entry;
    readonly n: number;
    readonly times: number[];
  }[] = [];
  const outcomes: Outcome[] = [];
  for (const entrant of entrants) {
    if (stopped()) {
      break;
    }
    const who = entrant.variant === undefined ? entrant.name : `${entrant.name} ${entrant.variant}`;
    const before = known.get(`${who} ${causal}`) ?? [];
    known.set(`${who} ${causal}`, before);
    const expected = extrapolated(before, L, entrant.power);
    const reason =
      entrant.unable(test) ??
      (expected !== undefined && expected > options.longest * (entrant.power === 1 ? PATIENCE : 1)
        ? `would take ${seconds(expected / 1000)}`
        : undefined);
    if (reason !== undefined) {
      if (expected !== undefined && entrant.power === 2) {
        outcomes.push({
          entrant,
          guessed: true,
          ms: { median: expected, min: expected, max: expected, n: 0 },
        });
        findings.note(`${who} at L=${L}${causal ? ' causal' : ''} is extrapolated by L²: ${reason}.`);
      } else {
        findings.note(`${who} is not measured in ${caseOf(test)}: ${reason}.`);
      }
      continue;
    }
    progress(`${title}: ${who}, preparing`);
    try {
      const entry = await entrant.prepare(test, inputs);
      let first = await entry.run(0);
      if (repetitions(first, options.runs) < options.runs) {
        first = Math.min(first, await entry.run(0)); // the first compiles, or starts threads
      }
      const n = repetitions(first, options.runs);
      ready.push({ entrant, entry, n, times: [] });
      progress(`${title}: ${who}, ${seconds(first / 1000)}`);
    } catch (error) {
      findings.note(`${who} fails in ${caseOf(test)}: ${(error as Error).message}`);
      progress(`${title}: ${who} fails: ${(error as Error).message}`);
    }
  }
  for (let run = 0; run < options.runs && !stopped(); run++) {
    progress(`${title}: run ${run + 1} of ${options.runs}`);
    for (const { entry, n, times } of ready) {
      if (run < n && !stopped()) {
        times.push(await entry.run((run + 1) % SETS.length));
      }
    }
  }
  for (const { entrant, entry, times } of ready) {
    await entry.dispose();
    if (times.length > 0) {
      const ms = spread(times);
      outcomes.push({ entrant, entry, ms, guessed: false });
      const who = entrant.variant === undefined ? entrant.name : `${entrant.name} ${entrant.variant}`;
      known.get(`${who} ${causal}`)?.push({ L, milliseconds: ms.median });
    }
  }
  return outcomes;
}

/** Rows of ours, with their ratios, and rows of the others. */
function addRows(
  { findings, options }: Context,
  { suite, params }: Case,
  outcomes: readonly Outcome[],
): void {
  const bytesInOut = 4 * params.B * params.H * params.L * params.D;
  for (const { entrant, entry, ms, guessed } of outcomes) {
    const { name, variant } = entrant;
    const facts = {
      ...(entry?.maxError !== undefined && { maxError: entry.maxError }),
      ...(entry?.bytesPeak !== undefined && suite === 'attention' && { bytesPeak: entry.bytesPeak }),
    };
    if (guessed) {
      continue;
    }
    if (name !== 'lsh' && name !== 'dense') {
      const tensors = name === 'tfjs' ? 4 : 3;
      const size = 'bytesPeak' in facts ? { bytesInOut: tensors * bytesInOut } : {};
      findings.others.push({ suite, name, params, ms, ...facts, ...size } satisfies OtherRow);
      continue;
    }
    const rivals = outcomes.filter(
      (other) =>
        other.entrant.name !== name &&
        (other.entrant.variant ?? variant) === variant &&
        other.entrant.name !== 'lsh',
    );
    // Ways on the same backend are measured on tfjs's own device alone.
    const onPlain = outcomes.filter(
      ({ entrant: { name: other } }) => other === 'tfjs' || other === 'composed',
    );
    const all = [...new Set([...rivals, ...onPlain])];
    const work = workOf(suite, name, params, options.rotation);
    const row: Row = {
      ...{ suite, name, variant: variant ?? 'plain', params, ms },
      gflops: work.operations / ms.median / 1e6,
      share: shareOf(work, ms.median, findings.ceilings),
      ...facts,
      ...('bytesPeak' in facts && { bytesInOut: 3 * bytesInOut }),
      against: Object.fromEntries(all.map((other) => [other.entrant.name, other.ms.median / ms.median])),
      extrapolated: all.filter((other) => other.guessed).map((other) => other.entrant.name),
    };
    findings.rows.push(row);
  }
}

/** Useful operations of a gradient, those of its forward pass being 1: what recomputation adds is not counted. */
const BACKWARD = 2.5;

interface Work {
  readonly operations: number;
  readonly bytes: number;
}

/** Counted work of a call. */
export function workOf(
  suite: Case['suite'],
  name: 'lsh' | 'dense',
  params: Params,
  rotation: 'gaussian' | 'hadamard',
): Work {
  const { B, H, L, D, R, C, causal } = params;
  const shape = { B, H, L, D, E: D };
  const add = (parts: readonly { readonly operations?: number; readonly bytes?: number }[]): Work => ({
    operations: parts.reduce((sum, { operations = 0 }) => sum + operations, 0),
    bytes: parts.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
  });
  const trains = suite === 'training';
  if (name === 'dense') {
    const kernels = ['dense/forward', ...(trains ? ['dense/backward'] : [])];
    return add(kernels.map((kernel) => countsOf(kernel, shape, { causal }, B * H, 1)));
  }
  const call = plan(shape, { numHashes: R, chunkLength: C, causal, rotation });
  const ops = trains ? [...call.forward, call.backward] : call.forward;
  const { bytes } = add(ops.flatMap(({ batches }) => batches.flatMap(({ passes }) => passes)));
  const { attend, total } = call.operations;
  return { operations: total + (trains ? BACKWARD * attend : 0), bytes };
}

/** Share of the ceiling that binds the work. */
export function shareOf(
  { operations, bytes }: Work,
  milliseconds: number,
  { gflops, gbps }: { readonly gflops: number; readonly gbps: number },
): number {
  return Math.max(operations / gflops, bytes / gbps) / 1e6 / milliseconds;
}
