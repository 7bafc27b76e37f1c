/**
 * Near-duplicates among real mails: pairs of similarity 0.8 and more, found by signatures, beside exact search.
 *
 *   npm run gpu -- examples/near-duplicates.ts [--mails 6000] [--threshold 0.8]
 */
import { parseArgs } from 'node:util';
import { MinHashLsh } from 'tfjs-lsh-attention/search';
import { exactPairs } from './mails/exactPairs.js';
import { type Mail, readMails } from './mails/mails.js';
import { count, percent, seconds } from './output/numbers.js';
import { progress, say } from './output/terminal.js';

/** A pair that is a candidate is found if its sets are similar enough, exactly. */
const VARIANTS = [
  { name: 'as it comes', options: { verify: true } },
  { name: 'without verification', options: {} },
  { name: "datasketch's bands", options: { verify: true, missWeight: 0.5 } },
] as const;

const { values } = parseArgs({
  options: { mails: { type: 'string', default: '6000' }, threshold: { type: 'string', default: '0.8' } },
});
const [most, threshold] = [Number(values.mails), Number(values.threshold)];
if (!Number.isInteger(most) || most < 1 || !(threshold > 0 && threshold < 1)) {
  console.error(
    '--mails must be an integer from 1 up, --threshold between 0 and 1. Try --mails 1000 --threshold 0.8.',
  );
  process.exitCode = 1;
} else {
  await main(most, threshold);
}

async function main(most: number, threshold: number): Promise<void> {
  progress('reading mails');
  const mails = readMails(most);
  const shingles = mails.reduce((sum, mail) => sum + mail.shingles.length, 0);
  say(
    `${count(mails.length)} mails, ${count(Math.round(shingles / mails.length))} shingles of three words each`,
  );
  progress('comparing exactly');
  const started = performance.now();
  const exact = exactPairs(
    mails.map((mail) => mail.shingles),
    threshold,
  );
  say(
    `${count(exact.size)} pairs of similarity ${threshold} and more; exact search took ${since(started)}\n`,
  );
  say(line(['', 'bands', 'compared', 'found', 'recall', 'precision', 'index', 'pairs']));
  for (const { name, options } of VARIANTS) {
    progress(name);
    say(await measuredLine(name, new MinHashLsh({ threshold, ...options }), mails, exact));
  }
}

async function measuredLine(
  name: string,
  index: MinHashLsh,
  mails: readonly Mail[],
  exact: ReadonlySet<string>,
): Promise<string> {
  const started = performance.now();
  await index.add(mails.map(({ shingles }) => shingles));
  const built = since(started);
  const searched = performance.now();
  const { first, second, candidates } = index.pairs();
  const found = Array.from(first, (one, i) => `${one},${second[i]}`);
  const right = found.filter((pair) => exact.has(pair)).length;
  const { bands, rows } = index.banding;
  return line([
    ...[name, `${bands}×${rows}`, count(candidates), count(found.length)],
    percent(exact.size === 0 ? 1 : right / exact.size),
    percent(found.length === 0 ? 1 : right / found.length),
    ...[built, since(searched)],
  ]);
}

function since(started: number): string {
  return seconds((performance.now() - started) / 1000);
}

function line(cells: readonly string[]): string {
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(11))).join('');
}
