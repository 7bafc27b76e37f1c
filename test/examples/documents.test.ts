import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runFile } from './commands.js';
import { blocksOf } from './documents.js';

/**
 * What the documents say, done. A block of TypeScript or JavaScript runs as a program of its own; one that has the
 * name of a file here is a part of that file; one with another name belongs to a web page, which pages.test.ts opens.
 */

const folder = mkdtempSync(join(tmpdir(), 'lsh-documents-'));
afterAll(() => rmSync(folder, { recursive: true }));

const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts);
const guides = readdirSync('guides').filter((name) => name.endsWith('.md'));

describe.each([
  ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...['kernels/README.md', 'bench/README.md'],
  ...guides.map((name) => join('guides', name)),
])('%s', (document) => {
  const text = readFileSync(document, 'utf8');
  const blocks = blocksOf(document);
  const programs = blocks.filter(({ language, name }) => /^[tj]s$/.test(language) && name === '');
  const parts = blocks.filter(({ name }) => existsSync(name));

  test.each(programs.map((block, i) => ({ ...block, i: i + 1 })))(
    'code block $i runs',
    async ({ language, code, i }) => {
      // Outside the repository: the package must be found by its name.
      const file = join(folder, `${document.replace(/\W/g, '-')}-${i}.m${language}`);
      writeFileSync(file, code);
      await runFile(file);
    },
  );

  test.each(parts)('what it quotes of $name is there', ({ name, code }) => {
    const source = readFileSync(name, 'utf8');
    for (const part of code.split(/^ *(?:\/\/ )?…\n/m)) {
      expect(source).toContain(part.trim());
    }
  });

  test('every file and heading that it links to is there', () => {
    for (const [, path = '', heading] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const target = path === '' ? document : join(dirname(document), path);
      expect(existsSync(target), target).toBe(true);
      if (heading !== undefined) {
        expect(headingsOf(readFileSync(target, 'utf8')), path).toContain(heading);
      }
    }
  });

  test('every npm script that it names is there', () => {
    for (const [, script] of text.matchAll(/npm run ([\w:]+)/g)) {
      expect(scripts).toContain(script);
    }
  });
});

/** The names by which a page's headings are linked to. */
function headingsOf(text: string): string[] {
  return Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
