/** Training on the duplication task, as a user would run it: stopped, resumed, drawn and refused. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsedCommand } from '../../examples/copy/command.js';
import { sequences } from '../../examples/copy/task.js';
import { readCheckpoint, writeCheckpoint } from '../../examples/training/checkpoint.js';
import { type Ended, interrupted, run } from './commands.js';

const folder = mkdtempSync(join(tmpdir(), 'lsh-copy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const STEPS = 120;
/** A slow adapter compiles for a minute, and takes half a second a step, in milliseconds. */
const PATIENCE = 400_000;
const SMALL = [
  '--length',
  '12',
  '--vocab',
  '5',
  '--width',
  '16',
  '--hidden',
  '16',
  '--chunk',
  '4',
  '--batch',
  '16',
];
const command = (name: string, ...more: string[]) => [
  ...['scripts/gpu.mjs', 'examples/train-copy.ts', ...SMALL, '--steps', String(STEPS), '--rate', '0.02'],
  ...['--checkpoint', join(folder, name), '--out', join(folder, `${name}.html`), ...more],
];
const checkpointOf = (name: string) => join(folder, name, 'checkpoint.safetensors');
const historyOf = (name: string) =>
  readCheckpoint(checkpointOf(name))?.about as {
    step: number;
    losses: number[];
    accuracies: { step: number; value: number }[];
  };

describe('a run', () => {
  let whole: Ended;
  beforeAll(async () => {
    whole = await run(command('whole'));
  }, PATIENCE);

  test('learns, and draws how', () => {
    expect(whole.stderr).not.toMatch(/Error/);
    expect(whole.code).toBe(0);
    const { step, losses, accuracies } = historyOf('whole');
    expect(step).toBe(STEPS);
    expect(losses).toHaveLength(STEPS);
    // Guessing is right once in 4.
    expect(accuracies[0]?.value).toBeLessThan(0.6);
    expect(accuracies.at(-1)?.value).toBeGreaterThan(0.9);
    expect(whole.stdout).toMatch(/step 120 of 120 +loss 0\.\d+ +accuracy +\d+\.\d % +\d+\.\d+ steps\/s/);
    expect(readFileSync(join(folder, 'whole.html'), 'utf8').match(/<svg/g)).toHaveLength(2);
  });

  test('that Ctrl-C stopped goes on as if it had not', { timeout: PATIENCE }, async () => {
    const first = await interrupted(command('parts'), 'step  20 of 120');
    expect(first.code).toBe(130);
    expect(first.stdout).toMatch(/Stopped after step \d+ of 120. The same command goes on/);
    const stopped = historyOf('parts').step;
    expect(stopped).toBeGreaterThanOrEqual(20);
    expect(stopped).toBeLessThan(STEPS);
    expect(readdirSync(join(folder, 'parts'))).toEqual(['checkpoint.safetensors']);

    const second = await run(command('parts'));
    expect(second.code).toBe(0);
    expect(second.stdout).toContain(`going on from step ${stopped}`);
    const [parts, one] = [historyOf('parts').losses, historyOf('whole').losses];
    expect(parts).toHaveLength(STEPS);
    expect(parts.slice(0, stopped)).toEqual(one.slice(0, stopped));
    for (let step = stopped; step < stopped + 5; step++) {
      // The optimizer takes up the powers of its factors as powers, not as products.
      expect(parts[step], `step ${step + 1}`).toBeCloseTo(one[step] as number, 3);
    }
  });

  test('of other options, or with a damaged checkpoint, is refused with a way out', async () => {
    const other = await run(command('whole', '--length', '14'));
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/checkpoint\.safetensors is of a run with length 12, not 14\..*--fresh/);

    const bytes = readFileSync(checkpointOf('whole'));
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 1;
    writeFileSync(checkpointOf('whole'), bytes);
    const damaged = await run(command('whole'));
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toMatch(/checkpoint\.safetensors cannot be read.*--fresh/);
    expect(damaged.stderr).not.toMatch(/\n +at /);
  });
});

describe('a checkpoint', () => {
  const path = join(folder, 'deep', 'one.safetensors');
  const checkpoint = {
    about: { step: 3, name: 'ü' },
    tensors: new Map([
      ['a', { shape: [2, 2], values: Float32Array.of(1, -0, 1e-45, 3) }],
      ['b', { shape: [1], values: Float32Array.of(Number.NaN) }],
    ]),
  };

  test('is read as it was written', () => {
    expect(readCheckpoint(path)).toBeUndefined();
    writeCheckpoint(path, checkpoint);
    expect(readCheckpoint(path)).toEqual(checkpoint);
  });

  test.each([0, 7, 8, 30, -1])('cut at byte %i, is refused', (length) => {
    writeCheckpoint(path, checkpoint);
    writeFileSync(path, readFileSync(path).subarray(0, length));
    expect(() => readCheckpoint(path)).toThrow(/cannot be read.*--fresh/);
  });
});

test('sequences are 0w0w, the same for the same step, others for others', () => {
  const task = { length: 10, vocabulary: 4 };
  const at = (step: number, purpose: 'train' | 'evaluate' = 'train') =>
    sequences(task, 50, { seed: 1, step, purpose });
  const symbols = at(0);
  for (let row = 0; row < 50; row++) {
    const one = symbols.slice(row * 10, row * 10 + 10);
    expect([one[0], one[5]]).toEqual([0, 0]);
    expect(one.slice(1, 5)).toEqual(one.slice(6));
  }
  expect(new Set(symbols)).toEqual(new Set([0, 1, 2, 3]));
  expect(at(0)).toEqual(symbols);
  expect(at(1)).not.toEqual(symbols);
  expect(at(0, 'evaluate')).not.toEqual(symbols);
});

test.each([
  [['--steps', '0'], '--steps must be an integer from 1'],
  [['--steps', 'many'], "got 'many'"],
  [['--length', '7'], '--length must be an even integer from 4'],
  [['--length', ''], "got ''"],
  [['--vocab', '1'], '--vocab must be an integer from 2'],
  [['--hashes', '1.5'], '--hashes must be an integer from 1'],
  [['--dense', '--hashes', '2'], 'exclude each other'],
  [['--heads', '3'], '--heads must divide the width 64'],
  [['--rate=-1'], '--rate must be a number above 0'],
  [['--seconds', '0'], '--seconds must be a number above 0'],
  [['--colour'], "Unknown option '--colour'"],
  [['stray'], 'stray'],
])('%j is refused', (args, complaint) => {
  expect(() => parsedCommand(args)).toThrow(complaint);
});
