/** Training on bytes, as a user would run it: stopped, resumed, compared, sampled and refused. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { Reformer } from 'tfjs-lsh-attention/reformer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsedCommand } from '../../examples/bytes/command.js';
import { piecesOf, readCorpus } from '../../examples/bytes/corpus.js';
import { baselines } from '../../examples/bytes/entropy.js';
import { configOf, DEFAULT_RECIPE } from '../../examples/bytes/recipe.js';
import { readResult } from '../../examples/bytes/report.js';
import { startWeights } from '../../examples/bytes/start.js';
import { readCheckpoint } from '../../examples/training/checkpoint.js';
import { type Ended, interrupted, run } from './commands.js';

const folder = mkdtempSync(join(tmpdir(), 'lsh-bytes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const STEPS = 30;
/** A slow adapter compiles for a minute, in milliseconds. */
const PATIENCE = 400_000;
const SMALL = [
  ...['--length', '128', '--layers', '2', '--width', '16', '--heads', '1', '--hidden', '16', '--chunk', '16'],
  ...['--rate', '0.03', '--warm-up', '5', '--sample', '8'],
];
const command = (name: string, ...more: string[]) => [
  ...['scripts/gpu.mjs', 'examples/train-bytes.ts', ...SMALL, '--steps', String(STEPS)],
  ...['--checkpoint', join(folder, name), '--out', join(folder, `${name}.html`), ...more],
];
const checkpointOf = (name: string) => join(folder, name, 'lsh.safetensors');
const historyOf = (name: string) =>
  readCheckpoint(checkpointOf(name))?.about as {
    step: number;
    losses: number[];
    heldOut: { step: number; value: number }[];
  };

describe('a run', () => {
  let whole: Ended;
  beforeAll(async () => {
    whole = await run(command('whole'));
  }, PATIENCE);

  test('learns, compares itself, draws how, and says a sample', () => {
    expect(whole.stderr).not.toMatch(/Error/);
    expect(whole.code).toBe(0);
    const { step, losses, heldOut } = historyOf('whole');
    expect([step, losses.length, heldOut.length]).toEqual([STEPS, STEPS, 2]);
    // Guessing takes 8 bits.
    expect(losses[0]).toBeGreaterThan(7);
    expect(heldOut.at(-1)?.value).toBeLessThan(5.5);
    expect(whole.stdout).toMatch(
      /step 30 of 30 +training \d\.\d+ bits\/byte +held out \d\.\d+ +[\d,]+ tokens\/s/,
    );
    expect(whole.stdout).toMatch(
      /this Reformer, LSH-1 +\d\.\d+\n +with exact attention +– +train it with: .*--dense/,
    );
    expect(whole.stdout).toMatch(
      /the byte before +\d\.\d+ .*\n.*the 2 bytes before +\d\.\d+ .*\n +gzip -9 +\d\.\d+/,
    );
    expect(whole.stdout).toMatch(/A sample, after the first 120 bytes/);
    expect(readFileSync(join(folder, 'whole.html'), 'utf8').match(/<svg/g)).toHaveLength(1);
    expect(readdirSync(join(folder, 'whole', 'lsh')).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  test('that Ctrl-C stopped goes on as if it had not', { timeout: PATIENCE }, async () => {
    const first = await interrupted(command('parts'), 'step 25 of 30');
    expect(first.code).toBe(130);
    expect(first.stdout).toMatch(/Stopped after step \d+ of 30. The same command goes on/);
    const stopped = historyOf('parts').step;
    expect(stopped).toBeGreaterThanOrEqual(25);
    expect(stopped).toBeLessThan(STEPS);

    const second = await run(command('parts'));
    expect(second.code).toBe(0);
    expect(second.stdout).toContain(`going on from step ${stopped}`);
    const [parts, one] = [historyOf('parts').losses, historyOf('whole').losses];
    expect(parts).toHaveLength(STEPS);
    expect(parts.slice(0, stopped)).toEqual(one.slice(0, stopped));
    for (let step = stopped; step < Math.min(STEPS, stopped + 5); step++) {
      // The optimizer takes up the powers of its factors as powers, not as products.
      expect(parts[step], `step ${step + 1}`).toBeCloseTo(one[step] as number, 2);
    }
  });

  test('with exact attention is set beside it', { timeout: PATIENCE }, async () => {
    const dense = await run(command('whole', '--dense', '--sample', '0'));
    expect(dense.stdout).toMatch(/this Reformer, exact attention +\d\.\d+\n +the same, LSH-1 +\d\.\d+ /);
    expect(dense.stdout).not.toContain('A sample');
  });

  test('of other options, or with a damaged checkpoint, is refused with a way out', async () => {
    const other = await run(command('whole', '--layers', '3'));
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/lsh\.safetensors is of a run with layers 2, not 3\..*--fresh/);

    const bytes = readFileSync(checkpointOf('whole'));
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 1;
    writeFileSync(checkpointOf('whole'), bytes);
    const damaged = await run(command('whole'));
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toMatch(/lsh\.safetensors cannot be read.*--fresh/);
    expect(damaged.stderr).not.toMatch(/\n +at /);
  });
});

test('a model begins with heads that look at the bytes before', async () => {
  await tf.setBackend('cpu');
  const model = new Reformer(configOf({ ...DEFAULT_RECIPE, length: 256, attention: 1 }, 258), { seed: 1 });
  startWeights(model);
  const L = 128;
  const ids = tf.tensor2d(
    Array.from({ length: L }, (_, i) => 2 + ((i * i) % 251)),
    [1, L],
    'int32',
  );
  const places = [Array.from({ length: L }, (_, i) => i)];
  const x = model.encoder.embedAt(ids, places);
  for (const [n, first] of [
    [0, 1],
    [2, 3],
  ] as const) {
    const { attention } = model.layers[n] as (typeof model.layers)[number];
    const [q, k] = attention.project(x) as [tf.Tensor, tf.Tensor];
    const logits = (await tf.matMul(q, k, false, true).array()) as unknown as number[][][][];
    for (const [head, rows] of (logits[0] as number[][][]).entries()) {
      const looks = rows.slice(40).map((row, i) => {
        const window = row.slice(40 + i - 20, 40 + i + 1);
        return 20 - window.indexOf(Math.max(...window));
      });
      const right = looks.filter((back) => back === first + head).length;
      expect(right / looks.length, `layer ${n}, head ${head}`).toBeGreaterThan(0.95);
    }
  }
  model.dispose();
});

test('the other run is known again, whatever the order of its fields', () => {
  const path = join(folder, 'other.json');
  const recipe = { ...DEFAULT_RECIPE, attention: 'dense' as const };
  const other = { recipe: Object.fromEntries(Object.entries(recipe).reverse()), steps: 5, bits: 3 };
  writeFileSync(path, JSON.stringify(other));
  const now = { recipe: { ...DEFAULT_RECIPE, attention: 1 }, steps: 5, bits: 2 };
  expect(readResult(path, now)?.bits).toBe(3);
  expect(readResult(path, { ...now, steps: 6 })).toBeUndefined();
  expect(readResult(path, { ...now, recipe: { ...now.recipe, width: 32 } })).toBeUndefined();
  expect(readResult(join(folder, 'none.json'), now)).toBeUndefined();
});

test('entropies are those of counts', () => {
  const text = (letters: string) => new TextEncoder().encode(letters);
  const pieces = [text('abab'), text('abcb')];
  const { orders, gzip } = baselines(text('ababababab'), pieces);
  // Of the bytes after the first, bab and bcb: b four times in six, a and c once each.
  const own = -(4 * Math.log2(4 / 6) + 2 * Math.log2(1 / 6)) / 6;
  expect(orders[0]?.own).toBeCloseTo(own, 12);
  // After a comes b; after b a and c, once each; after c b.
  expect(orders[1]?.own).toBeCloseTo(2 / 6, 12);
  // Of the third byte on: after ab a and c, after ba b, after bc b.
  expect(orders[2]?.own).toBeCloseTo(2 / 4, 12);
  const [afterA, afterB] = [5 + 2.56, 4 + 2.56];
  const learned = [5.01 / afterA, 4.01 / afterB, 5.01 / afterA, 5.01 / afterA, 0.01 / afterB, 0.01 / 2.56];
  expect(orders[1]?.learned).toBeCloseTo(-learned.reduce((sum, p) => sum + Math.log2(p), 0) / 6, 12);
  expect(gzip).toBe(gzipSync('abababcb', { level: 9 }).length);
});

test('held-out speeches are not trained on, and pieces come from all over them', () => {
  const { training, heldOut } = readCorpus();
  const pieces = piecesOf(heldOut, 4096, 16);
  expect(pieces.map(({ length }) => length)).toEqual(Array(16).fill(4096));
  const [first, last] = [pieces[0], pieces.at(-1)] as [Uint8Array, Uint8Array];
  expect(last.byteOffset - first.byteOffset).toBeGreaterThan(0.9 * heldOut.length);
  for (const piece of [first, last]) {
    expect(Buffer.from(training).includes(Buffer.from(piece.subarray(0, 200)))).toBe(false);
  }
});

test.each([
  [['--steps', '0'], '--steps must be an integer from 1'],
  [['--length', '100'], '--length must be a multiple of 64 from 64'],
  [['--chunk', '7'], '--chunk must be an even integer from 2'],
  [['--layers', 'many'], "got 'many'"],
  [['--dense', '--hashes', '2'], 'exclude each other'],
  [['--heads', '3'], '--heads must divide the width'],
  [['--width', '6'], '--width must be a multiple of 4 from 4'],
  [['--warm-up', '0'], '--warm-up must be an integer from 1'],
  [['--rate=-1'], '--rate must be a number above 0'],
  [['--colour'], "Unknown option '--colour'"],
])('%j is refused', (args, complaint) => {
  expect(() => parsedCommand(args)).toThrow(complaint);
});
