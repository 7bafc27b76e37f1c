import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blocksOf, DOCUMENTS } from '../documents.js';

/** What the documents say of the repository is so. Their programs run in test/examples/documents.test.ts. */

const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts);

describe.each(DOCUMENTS)('%s', (document) => {
  const text = readFileSync(document, 'utf8');

  test.each(blocksOf(document).filter(({ name }) => existsSync(name)))(
    'what it quotes of $name is there',
    ({ name, code }) => {
      const source = readFileSync(name, 'utf8');
      const parts = code.split(/^ *(?:\/\/ )?…\n/m).map((part) => part.trim());
      expect(parts.filter((part) => !source.includes(part))).toEqual([]);
    },
  );

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
