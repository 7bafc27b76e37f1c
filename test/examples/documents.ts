/** The code blocks of a document. */
import { readFileSync } from 'node:fs';

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
