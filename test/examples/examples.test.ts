import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { runFile } from './commands.js';

/** Every example, run as a reader would run it. */

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'lsh-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Those that take minutes have tests of their own. */
const LONG = [
  ...['train-copy.ts', 'train-bytes.ts'],
  ...['near-duplicates.ts', 'find-similar.ts', 'learned-hashing.ts'],
];
test.each(readdirSync('examples').filter((name) => name.endsWith('.ts') && !LONG.includes(name)))(
  'examples/%s runs',
  async (name) => {
    const { stdout } = await runFile(join('examples', name));
    expect(stdout.trim()).not.toBe('');
  },
);

test('examples/near-duplicates.ts finds the pairs of some hundred mails', async () => {
  const { stdout } = await runFile('examples/near-duplicates.ts', '--mails', '500');
  expect(stdout).toMatch(/^500 mails/);
  const [, recall = 0, precision] = /as it comes .*?([\d.]+) % +([\d.]+) %/.exec(stdout) ?? [];
  expect(Number(recall)).toBeGreaterThanOrEqual(95);
  expect(Number(precision)).toBe(100);
});

test('examples/find-similar.ts finds what exact search does, and shows it', async () => {
  const out = join(folder, 'similar.html');
  const small = ['--rows', '1000', '--queries', '20', '--out', out];
  const { stdout } = await runFile('examples/find-similar.ts', ...small);
  const recalls = Array.from(stdout.matchAll(/^BinaryIndex.* ([\d.]+) %/gm), ([, recall]) => Number(recall));
  expect(recalls).toHaveLength(3);
  expect(recalls.at(-1)).toBeGreaterThanOrEqual(95);
  expect(stdout.match(/^LshIndex tuned to 0\.(8|95), \d+ probes/gm)).toHaveLength(2);
  expect(readFileSync(out, 'utf8').match(/<tr><th>/g)).toHaveLength(12);
});

test('examples/learned-hashing.ts says how to get its data, and what is wrong with its options', async () => {
  const missing = { ...process.env, FASHION_MNIST: folder };
  const { stdout } = await run(process.execPath, ['scripts/gpu.mjs', 'examples/learned-hashing.ts'], {
    env: missing,
  });
  expect(stdout).toMatch(/apt-get install dataset-fashion-mnist/);
  await expect(runFile('examples/learned-hashing.ts', '--seeds', '0')).rejects.toThrow(
    /--seeds must be an integer from 1 up/,
  );
});

test('npm start climbs its ladder and writes its report', async () => {
  const out = join(folder, 'report.html');
  const { stdout } = await runFile('examples/speeches/main.ts', '--seconds', '20', '--out', out);
  expect(stdout).toMatch(/1,?024/);
  const report = readFileSync(out, 'utf8');
  expect(report.match(/<svg/g)?.length).toBeGreaterThanOrEqual(2);
}, 240_000);
