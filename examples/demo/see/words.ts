/** A text as tokens. */
import { Vocabulary, WORD } from '../../speeches/words.js';

export interface Tokens {
  /** A word with the punctuation around it. */
  readonly texts: readonly string[];
  /** A number for each token, the same for the same word. */
  readonly words: readonly number[];
  /** Words of the text that were left out. */
  readonly left: number;
}

/** The first `most` words of a text. */
export function tokensOf(text: string, most: number): Tokens {
  const vocabulary = new Vocabulary();
  const texts: string[] = [];
  const words: number[] = [];
  for (const piece of text.split(/\s+/).filter((part) => part !== '')) {
    const word = piece.match(WORD)?.join('');
    if (word !== undefined) {
      texts.push(piece);
      words.push(vocabulary.numberOf(word));
    } else if (texts.length > 0) {
      texts[texts.length - 1] += ` ${piece}`; // a dash between words
    }
  }
  return { texts: texts.slice(0, most), words: words.slice(0, most), left: Math.max(0, texts.length - most) };
}
