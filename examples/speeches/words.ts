/** What a word is. */

/** A word; an apostrophe, hyphen, comma or point stays where it is inside of a word or number. */
export const WORD = /[\p{L}\p{N}]+(?:['’.,-][\p{L}\p{N}]+)*/gu;

/** What tells one word from another. */
export function spellingOf(word: string): string {
  return word.toLowerCase().replace(/’/g, "'");
}

/** Numbers for words in the order in which they first come; equal spellings have equal numbers. */
export class Vocabulary {
  private readonly numbers = new Map<string, number>();

  numberOf(word: string): number {
    const spelling = spellingOf(word);
    const number = this.numbers.get(spelling) ?? this.numbers.size;
    this.numbers.set(spelling, number);
    return number;
  }

  get spellings(): string[] {
    return [...this.numbers.keys()];
  }
}
