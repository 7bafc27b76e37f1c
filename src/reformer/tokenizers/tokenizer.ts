import type { Door } from '../../door.js';

/** Text to the ids of tokens, and back. */
export interface Tokenizer {
  /** How many tokens there are; ids are below it. */
  readonly vocabSize: number;
  /** The ids of a text's tokens. */
  encode(text: string): number[];
  /** The text of tokens; ids that stand for no text give none. */
  decode(ids: Iterable<number>): string;
  /** Decodes token by token, for text that is shown as it grows. */
  stream(): TextStream;
}

/** A text that grows by tokens. A character that takes several comes out with the last of them. */
export interface TextStream {
  /** What of the text is certain with this token and was not before. */
  push(id: number): string;
  /** The rest; what cannot be completed any more is U+FFFD. */
  end(): string;
}

/** Tokens as a list. @throws RangeError for what is no token of a vocabulary. */
export function checkedIds(ids: Iterable<number>, vocabSize: number, door: Door): number[] {
  return Array.from(door.iterable('ids', ids), (id) => door.integer('id', id, 0, vocabSize - 1));
}
