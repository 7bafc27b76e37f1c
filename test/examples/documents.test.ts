import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { blocksOf, DOCUMENTS } from '../documents.js';
import { runFile } from './commands.js';

/**
 * What the documents say, done: a block of TypeScript or JavaScript runs as a program of its own. One with a name is a
 * part of that file (test/unit/documents.test.ts) or belongs to a web page, which pages.test.ts opens.
 */

const folder = mkdtempSync(join(tmpdir(), 'lsh-documents-'));
afterAll(() => rmSync(folder, { recursive: true }));

const documents = DOCUMENTS.map((document) => ({
  document,
  programs: blocksOf(document)
    .filter(({ language, name }) => /^[tj]s$/.test(language) && name === '')
    .map((block, i) => ({ ...block, i: i + 1 })),
}));

describe.each(documents.filter(({ programs }) => programs.length > 0))(
  '$document',
  ({ document, programs }) => {
    test.each(programs)('code block $i runs', async ({ language, code, i }) => {
      // Outside the repository: the package must be found by its name.
      const file = join(folder, `${document.replace(/\W/g, '-')}-${i}.m${language}`);
      writeFileSync(file, code);
      await runFile(file);
    });
  },
);
