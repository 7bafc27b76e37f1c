/** What to find similar things among: pictures where they are installed, else what American presidents said. */
import { DOTS, HOW_TO_GET, hasFashion, readPictures } from '../fashion/images.js';
import { escaped } from '../output/page.js';
import { quote, readCorpus, speechAt } from '../speeches/corpus.js';

export interface Things {
  readonly title: string;
  readonly D: number;
  readonly rows: Float32Array;
  readonly queries: Float32Array;
  /** A thing as HTML. */
  show(of: 'rows' | 'queries', i: number): string;
}

/** The last speeches ask, the earlier ones answer. */
const ASKING = 200;
const WORDS = 60;
/** Their counts of words are far from each other, and tables have to look almost everywhere. */
const PASSAGES = 4000;
const BINS = 256;

/** @param most vectors to search among. */
export function readThings(most: number, asking: number): Things {
  if (hasFashion()) {
    return pictures(most, asking);
  }
  console.log(`${HOW_TO_GET} Here are the State of the Union speeches instead.\n`);
  return passages(Math.min(most, PASSAGES), asking);
}

function pictures(most: number, asking: number): Things {
  const dots = {
    rows: readPictures('train').subarray(0, most * DOTS),
    queries: readPictures('t10k').subarray(0, asking * DOTS),
  };
  return {
    title: 'Clothes that look alike (Fashion-MNIST)',
    D: DOTS,
    rows: Float32Array.from(dots.rows),
    queries: Float32Array.from(dots.queries),
    show: (of, i) => svg(dots[of].subarray(i * DOTS, (i + 1) * DOTS)),
  };
}

/** A picture of 28×28 dots; the darker, the more a dot has. */
function svg(dots: Uint8Array): string {
  const side = Math.sqrt(DOTS);
  const squares = Array.from(dots, (dot, i) =>
    dot === 0
      ? ''
      : `<path d="M${i % side} ${Math.floor(i / side)}h1v1h-1z" opacity="${(dot / 255).toFixed(2)}"/>`,
  );
  return `<svg viewBox="0 0 28 28" style="width:4rem" fill="currentColor">${squares.join('')}</svg>`;
}

/** Passages of equally many words, as counts of words in a few bins, which words share at random. */
function passages(most: number, asking: number): Things {
  const corpus = readCorpus(Number.POSITIVE_INFINITY);
  const asked = Math.min(asking, ASKING);
  const all = Math.min(most + asked, Math.floor(corpus.words.length / WORDS));
  const vectors = new Float32Array(all * BINS);
  for (let i = 0; i < all * WORDS; i++) {
    const word = Math.imul((corpus.words[i] as number) + 1, 2654435761) >>> 0;
    const bin = Math.floor(i / WORDS) * BINS + (word % BINS);
    vectors[bin] = (vectors[bin] as number) + (word & 0x10000 ? 1 : -1);
  }
  const rows = all - asked;
  const show = (of: 'rows' | 'queries', i: number) => {
    const first = (of === 'rows' ? i : rows + i) * WORDS;
    const { year, name } = speechAt(corpus, first);
    const text = quote(corpus, first, first + WORDS);
    return `<blockquote style="white-space:normal"><p>${escaped(text)}</p><cite>${escaped(name)}, ${year}</cite></blockquote>`;
  };
  return {
    title: 'Passages that use the same words (State of the Union)',
    D: BINS,
    rows: vectors.subarray(0, rows * BINS),
    queries: vectors.subarray(rows * BINS),
    show,
  };
}
