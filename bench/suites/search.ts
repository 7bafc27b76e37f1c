/** The suite `search`: indexes beside HNSW, on the processor, one process, queries in one batch. */
import '@tensorflow/tfjs-backend-cpu';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  recallOf,
} from 'tfjs-lsh-attention/search';
import { DOTS, HOW_TO_GET, hasFashion, readPictures } from '../../examples/fashion/images.js';
import { count, percent, significant } from '../../examples/output/numbers.js';
import { progress, say } from '../../examples/output/terminal.js';
import type { BenchOptions } from '../options.js';
import { PEERS_FOLDER } from '../peers.js';
import { planted } from '../planted.js';

const K = 10;
const QUERIES = 1000;
/** Queries whose exact neighbours are known. */
const JUDGED = 200;

interface Data {
  readonly name: string;
  readonly D: number;
  readonly rows: Float32Array;
  readonly queries: Float32Array;
}

/** An index as the bench sees it: built once, then asked all queries. */
interface Contender {
  readonly name: string;
  build(data: Data): Promise<{ readonly bytes?: number }>;
  /** The ids `[queries, K]`. */
  query(queries: Float32Array, D: number): Promise<Int32Array>;
}

interface Row {
  readonly data: string;
  readonly name: string;
  readonly recall: number;
  readonly queriesPerSecond: number;
  readonly buildSeconds: number;
  readonly bytesPerVector?: number;
}

/** @returns the exit code. */
export async function benchSearch({ runs, lengths, json, markdown }: BenchOptions): Promise<number> {
  await tf.setBackend('cpu');
  const rows: Row[] = [];
  for (const data of sets(lengths?.at(-1) ?? Number.POSITIVE_INFINITY)) {
    progress(`${data.name}: exact neighbours`);
    const truth = new BruteForceIndex({ D: data.D });
    await truth.build(data.rows);
    const exact = await truth.query(data.queries.subarray(0, JUDGED * data.D), { k: K });
    truth.dispose();
    for (const contender of await contenders(data)) {
      progress(`${data.name}: ${contender.name}`);
      rows.push(await measured(data, contender, exact, runs));
      say(line(rows.at(-1) as Row));
    }
  }
  const text = table(rows);
  say(`\n${text}`);
  for (const [path, content] of [
    [json, `${JSON.stringify(rows, null, 2)}\n`],
    [markdown, text],
  ] as const) {
    if (path !== undefined) {
      writeFileSync(resolve(process.env.INIT_CWD ?? '.', path), content);
    }
  }
  return 0;
}

/** @param most vectors of a set. */
function sets(most: number): Data[] {
  const sets: Data[] = [planted(Math.min(most, 50_000), 64, QUERIES)];
  if (!hasFashion()) {
    say(HOW_TO_GET);
    return sets;
  }
  const queries = Float32Array.from(readPictures('t10k').subarray(0, QUERIES * DOTS));
  return [
    {
      name: 'Fashion-MNIST',
      D: DOTS,
      rows: Float32Array.from(readPictures('train').subarray(0, most * DOTS)),
      queries,
    },
    ...sets,
  ];
}

async function measured(
  data: Data,
  contender: Contender,
  exact: { readonly ids: Int32Array; readonly k: number },
  runs: number,
): Promise<Row> {
  const start = performance.now();
  const { bytes } = await contender.build(data);
  const buildSeconds = (performance.now() - start) / 1000;
  let ids = await contender.query(data.queries, data.D); // warms up
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const before = performance.now();
    ids = await contender.query(data.queries, data.D);
    times.push(performance.now() - before);
  }
  const median = times.sort((a, b) => a - b)[times.length >> 1] as number;
  return {
    data: data.name,
    name: contender.name,
    recall: recallOf({ ids, k: K }, exact),
    queriesPerSecond: (1000 * QUERIES) / median,
    buildSeconds,
    ...(bytes !== undefined && { bytesPerVector: (bytes * data.D) / data.rows.length }),
  };
}

async function contenders({ D, rows }: Data): Promise<Contender[]> {
  const bits = Math.floor(Math.log2(rows.length / D / 16));
  const ours = (
    name: string,
    index: BinaryIndex | LshIndex,
    options: object,
    targetRecall?: number,
  ): Contender => ({
    name,
    async build(data) {
      await index.build(data.rows);
      if (targetRecall !== undefined) {
        await index.tune({ targetRecall });
      }
      return { bytes: index.stats().bytes };
    },
    query: async (queries) => (await index.query(queries, { k: K, ...options })).ids,
  });
  const tables = (family = hyperplanes({ D, bits, tables: 12, rotation: 'hadamard' })) =>
    new LshIndex({ D, family });
  const corners = crossPolytope({ D, numBuckets: 2 ** bits, tables: 12, rotation: 'hadamard' });
  return [
    ours('BinaryIndex, 256 bits, 200 compared', new BinaryIndex({ D }), { maxCandidates: 200 }),
    ours('LshIndex, hyperplanes, 500 compared', tables(), { probes: 8, maxCandidates: 500 }),
    ours('LshIndex, cross-polytopes, 500 compared', tables(corners), { probes: 8, maxCandidates: 500 }),
    ours('LshIndex tuned to .9 (build with tune)', tables(), { targetRecall: 0.9 }, 0.9),
    ...(await peers()),
  ];
}

/** HNSW, where it is installed in the peers' folder: `npm run bench -- --suite search --install`. */
async function peers(): Promise<Contender[]> {
  const load = createRequire(join(PEERS_FOLDER, 'package.json'));
  const found: Contender[] = [];
  for (const [name, make] of Object.entries({ 'hnswlib-node': hnswlib, usearch })) {
    try {
      found.push(...make(load(name)));
    } catch {
      say(`${name} is not installed. Try: npm run bench -- --suite search --install`);
    }
  }
  return found;
}

/** What is used of hnswlib-node. */
interface Hnswlib {
  readonly HierarchicalNSW: new (
    space: string,
    D: number,
  ) => {
    initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
    addPoint(point: number[], label: number): void;
    setEf(ef: number): void;
    searchKnn(point: number[], k: number): { readonly neighbors: number[] };
  };
}

function hnswlib({ HierarchicalNSW }: Hnswlib): Contender[] {
  let index: InstanceType<Hnswlib['HierarchicalNSW']>;
  return [10, 50].map((ef) => ({
    name: `hnswlib-node, M 16, ef ${ef}`,
    async build({ D, rows }) {
      if (index === undefined || ef === 10) {
        index = new HierarchicalNSW('l2', D);
        index.initIndex({ maxElements: rows.length / D, m: 16, efConstruction: 200, randomSeed: 1 });
        for (let i = 0; i < rows.length / D; i++) {
          index.addPoint(Array.from(rows.subarray(i * D, (i + 1) * D)), i);
        }
      }
      index.setEf(ef);
      return {};
    },
    async query(queries, D) {
      const n = queries.length / D;
      return Int32Array.from(
        Array.from(
          { length: n },
          (_, i) => index.searchKnn(Array.from(queries.subarray(i * D, (i + 1) * D)), K).neighbors,
        ).flat(),
      );
    },
  }));
}

/** What is used of usearch. */
interface Usearch {
  readonly Index: new (options: {
    metric: string;
    dimensions: number;
    connectivity: number;
  }) => {
    add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
    search(vectors: Float32Array, k: number, threads: number): { readonly keys: BigUint64Array };
  };
}

function usearch({ Index }: Usearch): Contender[] {
  let index: InstanceType<Usearch['Index']>;
  return [
    {
      name: 'usearch, M 16, one thread',
      async build({ D, rows }) {
        index = new Index({ metric: 'l2sq', dimensions: D, connectivity: 16 });
        const n = rows.length / D;
        index.add(
          BigUint64Array.from({ length: n }, (_, i) => BigInt(i)),
          rows,
          1,
        );
        return {};
      },
      query: async (queries) => Int32Array.from(index.search(queries, K, 1).keys, Number),
    },
  ];
}

function line({ data, name, recall, queriesPerSecond, buildSeconds, bytesPerVector }: Row): string {
  const bytes = bytesPerVector === undefined ? '–' : count(Math.round(bytesPerVector));
  return `| ${data} | ${name} | ${percent(recall)} | ${count(Math.round(queriesPerSecond))} | ${significant(buildSeconds)} | ${bytes} |`;
}

function table(rows: readonly Row[]): string {
  return `| data | index | recall@10 | queries/s | build, s | bytes a vector |
|---|---|---|---|---|---|
${rows.map(line).join('\n')}
`;
}
