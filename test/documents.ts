/** The documents, and the code blocks in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const DOCUMENTS = [
  ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...['kernels/README.md', 'bench/README.md'],
  ...readdirSync('guides')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('guides', name)),
];

/** A fenced block: ```language name. */
export interface Block {
  readonly language: string;
  /** The file that it is, or is a part of; '' where it stands for itself. */
  readonly name: string;
  readonly code: string;
}

const FENCED = /^```(\w*) ?(\S*)\n([\s\S]*?)^```$/gm;

export function blocksOf(document: string): Block[] {
  return Array.from(
    readFileSync(document, 'utf8').matchAll(FENCED),
    ([, language = '', name = '', code = '']) => ({ language, name, code }),
  );
}
