/**
 * The suite `search`: indexes beside HNSW, and signatures, on the processor, in one process, queries in one batch; and what
 * the GPU's kernels make of the same.
 */
import '@tensorflow/tfjs-backend-cpu';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  type EffortOptions,
  hyperplanes,
  LshIndex,
  recallOf,
} from 'tfjs-lsh-attention/search';
import { DOTS, HOW_TO_GET, hasFashion, readPictures } from '../../examples/fashion/images.js';
import { count, percent, significant } from '../../examples/output/numbers.js';
import { progress, say } from '../../examples/output/terminal.js';
import type { BenchOptions } from '../options.js';
import type { Contender, Data } from '../search/contender.js';
import { hnsw } from '../search/hnsw.js';
import { planted } from '../search/planted.js';
import { benchSignatures, type SignatureRow } from '../search/signatures.js';
import { type Spread, spread } from '../statistics.js';

const K = 10;
/** Queries, of a small set one to so many vectors; half as many others of their kind are there to tune with. */
const QUERIES = 1000;
const VECTORS_A_QUERY = 50;

interface Row {
  readonly data: string;
  readonly name: string;
  readonly recall: number;
  readonly queriesPerSecond: number;
  readonly milliseconds: Spread;
  /** Vectors that a query was compared with, on average. */
  readonly candidates?: number;
  readonly buildSeconds?: number;
  readonly bytesPerVector?: number;
}

/** @returns the exit code. */
export async function benchSearch({ runs, lengths, json, markdown }: BenchOptions): Promise<number> {
  const { description: adapter } = await useWebGPU();
  await tf.setBackend('cpu');
  progress('signatures');
  const signatures = await benchSignatures(runs);
  say(`\n${signatureTable(signatures)}`);
  const neighbours: Row[] = [];
  for (const data of sets(lengths?.at(-1) ?? Number.POSITIVE_INFINITY)) {
    const rows = await measured(data, runs);
    say(`\n${neighbourTable(rows)}`);
    neighbours.push(...rows);
    for (const [path, content] of [
      [json, `${JSON.stringify({ adapter, neighbours, signatures }, null, 2)}\n`],
      [markdown, `WebGPU: ${adapter}\n\n${neighbourTable(neighbours)}\n${signatureTable(signatures)}`],
    ] as const) {
      if (path !== undefined) {
        writeFileSync(resolve(process.env.INIT_CWD ?? '.', path), content);
      }
    }
  }
  return 0;
}

/** @param most vectors of a set. */
function* sets(most: number): Generator<Data> {
  const asked = Math.min(QUERIES, Math.ceil(most / VECTORS_A_QUERY));
  const all = asked + Math.ceil(asked / 2);
  if (hasFashion()) {
    const rows = Float32Array.from(readPictures('train').subarray(0, most * DOTS));
    const asking = Float32Array.from(readPictures('t10k').subarray(0, all * DOTS));
    const bits = Math.max(1, Math.floor(Math.log2(rows.length / DOTS / 16)));
    yield {
      ...{ name: `Fashion-MNIST, ${rows.length / DOTS} × ${DOTS}`, D: DOTS, rows },
      queries: asking.subarray(0, asked * DOTS),
      tuning: asking.subarray(asked * DOTS),
      hashing: { bits, corners: [2 ** bits], tables: 12, effort: { probes: 8, maxCandidates: 500 } },
    };
  } else {
    say(HOW_TO_GET);
  }
  const [n, D] = [Math.min(most, 100_000), 128];
  const { rows, queries } = planted({ n, D, queries: all });
  yield {
    ...{ name: `planted, ${n} × ${D}`, D, rows },
    queries: queries.subarray(0, asked * D),
    tuning: queries.subarray(asked * D),
    // 2^14 codes of either kind, all equally likely: as many candidates by chance.
    hashing: { bits: 14, corners: [128, 128], tables: 12, effort: { probes: 1 } },
  };
}

/** All are built first; then they take turns. */
async function measured(data: Data, runs: number): Promise<Row[]> {
  progress(`${data.name}: exact neighbours`);
  const truth = new BruteForceIndex({ D: data.D });
  await truth.build(data.rows);
  const exact = await truth.query(data.queries, { k: K });
  truth.dispose();
  const entries = [];
  for (const contender of [...ours(data), ...hnsw()]) {
    progress(`${data.name}: building ${contender.name}`);
    const start = performance.now();
    const built = await contender.build?.(data);
    const buildSeconds = built && (performance.now() - start) / 1000;
    const { ids, candidates } = await contender.query(data, K); // warms up
    const recall = recallOf({ ids, k: K }, exact);
    entries.push({ contender, bytes: built?.bytes, buildSeconds, recall, candidates, times: [] as number[] });
  }
  for (let run = 0; run < runs; run++) {
    progress(`${data.name}: run ${run + 1} of ${runs}`);
    for (const { contender, times } of entries) {
      const before = performance.now();
      await contender.query(data, K);
      times.push(performance.now() - before);
    }
  }
  return entries.map(({ contender, bytes, buildSeconds, recall, candidates, times }) => {
    const milliseconds = spread(times);
    return {
      ...{ data: data.name, name: contender.name, recall, milliseconds },
      ...(buildSeconds !== undefined && { buildSeconds }),
      queriesPerSecond: (1000 * data.queries.length) / data.D / milliseconds.median,
      ...(candidates !== undefined && { candidates }),
      ...(bytes !== undefined && { bytesPerVector: (bytes * data.D) / data.rows.length }),
    };
  });
}

function ours({ D, hashing: { bits, corners, tables, effort } }: Data): Contender[] {
  const of = (
    name: string,
    index: BruteForceIndex | BinaryIndex | LshIndex,
    { targetRecall, ...given }: EffortOptions = {},
  ): Contender => {
    let effort = given;
    return {
      name,
      async build({ rows, tuning: queries }) {
        await index.build(rows);
        if (targetRecall !== undefined && 'tune' in index) {
          ({ effort } = await index.tune({ targetRecall, queries }));
        }
        return { bytes: index.stats().bytes };
      },
      async query({ queries }, k) {
        const { ids, candidates } = await index.query(queries, { k, ...effort });
        return { ids, candidates: candidates.reduce((sum, one) => sum + one, 0) / candidates.length };
      },
    };
  };
  const planes = () => new LshIndex({ D, family: hyperplanes({ D, bits, tables, rotation: 'hadamard' }) });
  const family = crossPolytope({ D, numBuckets: corners, tables, rotation: 'hadamard' });
  const visiting = `${tables} tables, ${effort.probes} probe${effort.probes > 1 ? 's' : ''}`;
  return [
    of('BinaryIndex, 256 bits', new BinaryIndex({ D }), { maxCandidates: 200 }),
    of(`LshIndex, hyperplanes, ${visiting}`, planes(), effort),
    of(`LshIndex, cross-polytopes, ${visiting}`, new LshIndex({ D, family }), effort),
    of('BinaryIndex tuned to .9 (build with tune)', new BinaryIndex({ D }), { targetRecall: 0.9 }),
    of('LshIndex tuned to .9 (build with tune)', planes(), { targetRecall: 0.9 }),
    onWebGPU(of('BinaryIndex, 256 bits', new BinaryIndex({ D }), { maxCandidates: 200 })),
    onWebGPU(of('BruteForceIndex', new BruteForceIndex({ D }))),
  ];
}

/** The same on the GPU; all others are asked on the processor. */
function onWebGPU({ name, build, query }: Contender): Contender {
  const there =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      await tf.setBackend('webgpu');
      try {
        return await call(...args);
      } finally {
        await tf.setBackend('cpu');
      }
    };
  return { name: `${name}, on WebGPU`, ...(build && { build: there(build) }), query: there(query) };
}

function neighbourTable(rows: readonly Row[]): string {
  const shown = (value: number | undefined, as: (value: number) => string) =>
    value === undefined ? '–' : as(value);
  const whole = (value: number) => count(Math.round(value));
  const lines = rows.map((row) => {
    const found = [row.data, row.name, percent(row.recall), whole(row.queriesPerSecond)];
    const cost = [
      shown(row.candidates, whole),
      shown(row.buildSeconds, significant),
      shown(row.bytesPerVector, whole),
    ];
    return `| ${[...found, ...cost].join(' | ')} |`;
  });
  return `| data | index | recall@${K} | queries/s | compared | build, s | bytes a vector |
|---|---|---|---|---|---|---|
${lines.join('\n')}
`;
}

function signatureTable(rows: readonly SignatureRow[]): string {
  return `| signatures | million hashes/s |
|---|---|
${rows.map(({ name, rate }) => `| ${name} | ${significant(rate)} |`).join('\n')}
`;
}
