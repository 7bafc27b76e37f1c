/**
 * npm run gpu -- examples/find-similar.ts [--rows 20000] [--queries 1000] [--out similar.html]: neighbours of things by
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
import { progress, say } from './output/terminal.js';
import { readThings, type Things } from './similar/things.js';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    queries: { type: 'string', default: '1000' },
    out: { type: 'string', default: 'similar.html' },
  },
});
const [most, asking] = [Number(values.rows), Number(values.queries)];
if (![most, asking].every((number) => Number.isInteger(number) && number >= 1)) {
  console.error('--rows and --queries must be integers from 1 up. Try --rows 20000 --queries 1000.');
  process.exitCode = 1;
} else {
  await main(readThings(most, asking));
}

/** A line of the table: an index, and how it is asked. */
interface Entry {
  readonly name: string;
  readonly index: BruteForceIndex | BinaryIndex | LshIndex;
  readonly options?: QueryOptions;
}

async function main(things: Things): Promise<void> {
  await tf.setBackend('cpu');
  const { title, D, rows, queries } = things;
  const n = rows.length / D;
  const asked = count(queries.length / D);
  say(`${title}: ${count(n)} vectors of ${D} numbers, ${asked} queries, 10 neighbours each\n`);
  const lines = [['', 'build', 'a query', 'recall@10', 'vectors compared']];
  say(aligned(lines[0] as string[]));
  const note = async (entry: Entry, truth?: QueryResult) => {
    const { cells, answers } = await measured(entry, things, truth);
    lines.push(cells);
    say(aligned(cells));
    return answers;
  };

  const truth = await note({ name: 'BruteForceIndex, exact', index: new BruteForceIndex({ D }) });
  const binary = new BinaryIndex({ D });
  for (const maxCandidates of [50, 200, 800]) {
    const name = `BinaryIndex, 256 bits, ${maxCandidates} compared`;
    await note({ name, index: binary, options: { maxCandidates } }, truth);
  }
  const bits = Math.max(1, Math.floor(Math.log2(n / 16)));
  const tables = new LshIndex({ D, family: hyperplanes({ D, bits, tables: 8, rotation: 'hadamard' }) });
  await tables.build(rows);
  for (const targetRecall of [0.8, 0.95]) {
    progress(`LshIndex: tuning to ${targetRecall}`);
    const { effort } = await tables.tune({ targetRecall });
    const name = `LshIndex tuned to ${targetRecall}, ${effort.probes} probes`;
    await note({ name, index: tables, options: { targetRecall } }, truth);
  }
  const found = await binary.query(queries, { k: 10 });
  writeFileSync(resolve(process.env.INIT_CWD ?? '.', values.out), report(things, lines, found, truth));
  say(`\nwritten: ${values.out}`);
}

function aligned(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(38) : cell.padStart(18))).join('');
}

/** Builds where that was not done, and asks all queries; without a truth the answers are it. */
async function measured({ name, index, options }: Entry, { rows, queries }: Things, truth?: QueryResult) {
  progress(name);
  let build = '';
  if (index.size === 0) {
    const start = performance.now();
    await index.build(rows);
    build = seconds((performance.now() - start) / 1000);
  }
  const start = performance.now();
  const answers = await index.query(queries, { k: 10, ...options });
  const n = answers.candidates.length;
  const time = seconds((performance.now() - start) / 1000 / n);
  const compared = answers.candidates.reduce((sum, one) => sum + one, 0) / n;
  const recall = percent(recallOf(answers, truth ?? answers));
  return { answers, cells: [name, build, time, recall, count(Math.round(compared))] };
}

function report(
  { title, show }: Things,
  lines: readonly string[][],
  { ids, k }: QueryResult,
  { ids: best }: QueryResult,
): string {
  const shown = Array.from({ length: Math.min(12, ids.length / k) }, (_, i) => {
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
