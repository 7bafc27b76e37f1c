/**
 * How much of dense attention LSH sees, by rounds, chunks and window, on the words of the State of the Union
 * speeches: `npm run gpu -- bench/curves.ts` draws guides/pictures/{rounds,keys,lengths}.svg and prints the tables
 * of guides/rounds-and-chunks.md.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { type LshAttentionOptions, lshAttentionWithLse, lshBuckets } from 'tfjs-lsh-attention';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { progress } from '../examples/output/terminal.js';
import { readCorpus } from '../examples/speeches/corpus.js';
import { type Answers, exactAnswers } from '../examples/speeches/exact.js';
import { D, E, type Memory, memoryOf } from '../examples/speeches/memory.js';
import { score } from '../examples/speeches/score.js';
import { drawKeys, drawLengths, drawRounds, type Point } from './curvePictures.js';

const LENGTH = 4096;
const ROUNDS = [1, 2, 4, 8, 16];
const CHUNKS = [16, 32, 64, 128, 256];
const LENGTHS = [1024, 2048, 4096, 8192, 16384];
/** Hashes are random: each setting is measured with several. */
const SEEDS = [0, 1, 2];
const UNTIL = 1860;
const QUESTIONS = 512;

const asked = new Map<number, Asked>();
const { values: flags } = parseArgs({ options: { out: { type: 'string', default: 'guides/pictures' } } });
const { description } = await useWebGPU();
const { words } = readCorpus(UNTIL);

const chunked = await each(CHUNKS.flatMap((C) => ROUNDS.map((R) => ({ L: LENGTH, R, C, window: 'chunk' }))));
const bucketed = await each(ROUNDS.map((R) => ({ L: LENGTH, R, C: 64, window: 'bucket' })));
const long = await each(LENGTHS.flatMap((L) => [2, 4, 8].map((R) => ({ L, R, C: 64, window: 'chunk' }))));

for (const [name, picture] of Object.entries({
  rounds: drawRounds(chunked),
  keys: drawKeys([...chunked, ...bucketed], LENGTH),
  lengths: drawLengths(long),
})) {
  writeFileSync(`${flags.out}/${name}.svg`, picture);
}
console.log(`${description}, ${LENGTH} words, ${SEEDS.length} seeds\n`);
console.log(table('C', CHUNKS, 'R', ROUNDS, chunked));
console.log(table('window', ['bucket'], 'R', ROUNDS, bucketed));
console.log(table('L', LENGTHS, 'R', [2, 4, 8], long));

type Setting = Pick<Point, 'L' | 'R' | 'C' | 'window'>;

async function each(
  settings: readonly { L: number; R: number; C: number; window: string }[],
): Promise<Point[]> {
  const points: Point[] = [];
  for (const setting of settings as readonly Setting[]) {
    progress(`L=${setting.L} R=${setting.R} C=${setting.C} ${setting.window}`);
    points.push(await measured(setting));
  }
  return points;
}

/** The memory of so many words, the last 1,024 of which are asked about, and what dense attention answers. */
interface Asked {
  readonly memory: Memory;
  readonly positions: Int32Array;
  readonly exact: Answers;
}

function askedOf(L: number): Asked {
  let found = asked.get(L);
  if (found === undefined) {
    const memory = memoryOf(words, words.length - 1, L);
    const positions = Int32Array.from({ length: QUESTIONS }, (_, n) => L - 2 * (QUESTIONS - n) + 1);
    found = { memory, positions, exact: exactAnswers(memory, positions) };
    asked.set(L, found);
  }
  return found;
}

async function measured({ L, R, C, window }: Setting): Promise<Point> {
  const { memory, positions, exact } = askedOf(L);
  const qk = tf.tensor2d(memory.qk, [L, D]);
  const v = tf.tensor2d(memory.v, [L, E]);
  const sums = { keys: 0, seen: 0, error: 0 };
  for (const seed of SEEDS) {
    const options = { causal: true, numHashes: R, chunkLength: C, window, seed } as const;
    const answers = await answersOf(qk, v, positions, options);
    // Nothing is predicted here.
    const { seen, error } = score(answers, exact, [], Array(QUESTIONS).fill(-1));
    sums.seen += seen / SEEDS.length;
    sums.error += error / SEEDS.length;
    sums.keys += (window === 'chunk' ? R * 2 * C : await bucketKeys(qk, options)) / SEEDS.length;
  }
  tf.dispose([qk, v]);
  return { L, R, C, window, ...sums };
}

async function answersOf(
  qk: tf.Tensor,
  v: tf.Tensor,
  positions: Int32Array,
  options: LshAttentionOptions,
): Promise<Answers> {
  const [out, lse] = tf.tidy(() => {
    const whole = lshAttentionWithLse(qk, v, options);
    const rows = tf.tensor1d(positions, 'int32');
    return [tf.gather(whole.out, rows), tf.gather(whole.lse, rows)];
  });
  const answers = { out: (await out.data()) as Float32Array, lse: (await lse.data()) as Float32Array };
  tf.dispose([out, lse]);
  return answers;
}

/** How many keys share a bucket with a query, on average, in all rounds together. */
async function bucketKeys(qk: tf.Tensor, options: LshAttentionOptions): Promise<number> {
  const tensor = lshBuckets(qk, options);
  const buckets = await tensor.data();
  tensor.dispose();
  const L = buckets.length / (options.numHashes as number);
  let pairs = 0;
  for (let start = 0; start < buckets.length; start += L) {
    const sizes = new Map<number, number>();
    for (const bucket of buckets.subarray(start, start + L)) {
      sizes.set(bucket, (sizes.get(bucket) ?? 0) + 1);
    }
    pairs += [...sizes.values()].reduce((sum, size) => sum + size * size, 0);
  }
  return pairs / L;
}

/** Rows and columns of settings: the share seen, and the error. */
function table<Row extends 'C' | 'L' | 'window'>(
  row: Row,
  rows: readonly Point[Row][],
  column: 'R',
  columns: readonly number[],
  points: readonly Point[],
): string {
  const lines = rows.map((one) => {
    const cells = columns.map((R) => {
      const point = points.find((found) => found[row] === one && found[column] === R) as Point;
      return `${(100 * point.seen).toFixed(1)} % / ${point.error.toFixed(3)} (${Math.round(point.keys)})`;
    });
    return `| ${one} | ${cells.join(' | ')} |`;
  });
  const head = `| ${row} | ${columns.map((R) => `${column} = ${R}`).join(' | ')} |`;
  return `${[head, `|${'---|'.repeat(columns.length + 1)}`, ...lines].join('\n')}\n`;
}
