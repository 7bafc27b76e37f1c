/**
 * npm run gpu -- examples/find-similar.ts [--rows 20000] [--queries 100] [--out similar.html]: neighbours of things by
 * exact search, binary codes and hash tables, on the processor; a table of recall and time, and a page that shows what
 * was found.
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {
  BinaryIndex,
  BruteForceIndex,
  hyperplanes,
  LshIndex,
  type QueryOptions,
  type QueryResult,
  recallOf,
} from 'tfjs-lsh-attention/search';
import { count, percent, seconds } from './output/numbers.js';
import { escaped, page } from './output/page.js';
import { readThings, type Things } from './similar/things.js';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    queries: { type: 'string', default: '100' },
    out: { type: 'string', default: 'similar.html' },
  },
});
await tf.setBackend('cpu');
const things = readThings(Number(values.rows), Number(values.queries));
const { D, rows, queries } = things;
const n = queries.length / D;
console.log(
  `${things.title}: ${count(rows.length / D)} vectors of ${D} numbers, ${n} queries, 10 neighbours each\n`,
);

const bits = Math.floor(Math.log2(rows.length / D / 16));
const exact = new BruteForceIndex({ D });
const binary = new BinaryIndex({ D });
const tables = new LshIndex({ D, family: hyperplanes({ D, bits, tables: 8, rotation: 'hadamard' }) });
const lines: string[][] = [['', 'build', 'a query', 'recall@10', 'vectors compared']];

const truth = await measured('BruteForceIndex, exact', exact, {});
for (const maxCandidates of [50, 200, 800]) {
  await measured(`BinaryIndex, 256 bits, ${maxCandidates} compared`, binary, { maxCandidates });
}
await tables.build(rows);
for (const targetRecall of [0.8, 0.95]) {
  const { effort } = await tables.tune({ targetRecall });
  await measured(`LshIndex tuned to ${targetRecall}, ${effort.probes} probes`, tables, { targetRecall });
}
for (const line of lines) {
  console.log(line.map((cell, i) => (i === 0 ? cell.padEnd(38) : cell.padStart(18))).join(''));
}
const found = await binary.query(queries, { k: 10 });
writeFileSync(resolve(process.env.INIT_CWD ?? '.', values.out), report(things, found, truth));
console.log(`\nwritten: ${values.out}`);

/** Builds where that was not done, asks all queries, and notes a line of the table. */
async function measured(
  name: string,
  index: BruteForceIndex | BinaryIndex | LshIndex,
  options: QueryOptions,
): Promise<QueryResult> {
  let build = '';
  if (index.size === 0) {
    const start = performance.now();
    await index.build(rows);
    build = seconds((performance.now() - start) / 1000);
  }
  const start = performance.now();
  const answers = await index.query(queries, { k: 10, ...options });
  const time = (performance.now() - start) / 1000 / n;
  const compared = answers.candidates.reduce((sum, one) => sum + one, 0) / n;
  const recall = index === exact ? 1 : recallOf(answers, truth);
  lines.push([name, build, seconds(time), percent(recall), count(Math.round(compared))]);
  return answers;
}

function report({ title, show }: Things, { ids, k }: QueryResult, { ids: best }: QueryResult): string {
  const shown = Array.from({ length: Math.min(12, n) }, (_, i) => {
    const right = new Set(best.subarray(i * k, (i + 1) * k));
    const answers = Array.from(ids.subarray(i * k, i * k + 6), (id) => {
      const thing = id < 0 ? '' : show('rows', id);
      return `<td>${right.has(id) ? thing : `<mark>${thing}</mark>`}</td>`;
    });
    return `<tr><th>${show('queries', i)}</th>${answers.join('')}</tr>`;
  });
  const table = lines.map((line) => `<tr>${line.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`);
  return page(
    title,
    `<p>On the left what was asked for, beside it the nearest vectors that BinaryIndex found; marked are those that
    exact search does not have among its ten.</p>
    <div class="wide"><table>${shown.join('\n')}</table></div>
    <h2>Recall and time</h2>
    <div class="wide"><table>${table.join('\n')}</table></div>`,
  );
}
