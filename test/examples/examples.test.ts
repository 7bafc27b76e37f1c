import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';

/** Every example, and every code block of the documents, run as a reader would run it. */

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'lsh-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A block as a file of its own, outside the repository: the package must be found by its name. */
async function runFile(path: string, ...args: string[]) {
  return await run(process.execPath, ['scripts/gpu.mjs', path, ...args], {
    env: { ...process.env, INIT_CWD: process.cwd() },
  });
}

describe.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'kernels/README.md'])('%s', (document) => {
  const text = readFileSync(document, 'utf8');
  const blocks = [...text.matchAll(/```(ts|js)\n([\s\S]*?)```/g)].map(([, language, code]) => ({
    language,
    code,
  }));

  test.each(blocks.map((block, i) => ({ ...block, i: i + 1 })))(
    'code block $i runs',
    async ({ language, code, i }) => {
      const file = join(folder, `${document.replace(/\W/g, '-')}-${i}.m${language}`);
      writeFileSync(file, code as string);
      await runFile(file);
    },
  );

  test('every file that it names is there', () => {
    for (const [, path] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(() => readFileSync(join(document, '..', path as string)), path).not.toThrow(/ENOENT/);
    }
  });
});

/** Those that take minutes have tests of their own. */
const LONG = ['train-copy.ts', 'train-bytes.ts', 'near-duplicates.ts', 'learned-hashing.ts'];
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
