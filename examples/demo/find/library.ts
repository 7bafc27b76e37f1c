/** Nearest neighbours of sentences, exactly and by hashing, and how many are found for how many comparisons. */
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  LshIndex,
  type QueryOptions,
  type QueryResult,
  recallOf,
} from 'tfjs-lsh-attention/search';
import { D, Meaning } from './meaning.js';
import { type FindAnswer, type FindQuestion, K, type Setting, type Way } from './question.js';
import type { Sentences } from './sentences.js';

type Effort = Omit<FindQuestion & { readonly kind: 'measure' }, 'kind'>;
type Wanted = FindQuestion & { readonly kind: 'neighbours' };

/** Queries that a setting is measured with. */
const ASKING = 100;
/** Buckets of a table, factored: a sentence shares its own with some dozen others. */
const BUCKETS = [16, 16];
const TABLES = 8;

/** The sentences in their indexes. */
export class Library {
  private readonly exact = new BruteForceIndex({ D, metric: 'cosine' });
  private readonly indexes: Record<Way, LshIndex | BinaryIndex> = {
    tables: new LshIndex({
      ...{ D, metric: 'cosine' },
      family: crossPolytope({ D, numBuckets: BUCKETS, tables: TABLES }),
    }),
    codes: new BinaryIndex({ D, metric: 'cosine' }),
  };

  /** Sentences whose neighbours are known, to measure with. */
  private readonly queries: { readonly asking: Float32Array; readonly own: readonly number[] };
  private truth: QueryResult | undefined;

  private constructor(
    private readonly sentences: Sentences,
    private readonly meaning: Meaning,
  ) {
    const n = sentences.texts.length;
    const own = Array.from({ length: ASKING }, (_, i) => Math.floor((i * n) / ASKING));
    const asking = new Float32Array(ASKING * D);
    own.forEach((id, i) => {
      asking.set(meaning.vectors.subarray(id * D, (id + 1) * D), i * D);
    });
    this.queries = { asking, own };
  }

  static async open(sentences: Sentences): Promise<Library> {
    const library = new Library(sentences, new Meaning(sentences.texts));
    for (const index of [library.exact, ...Object.values(library.indexes)]) {
      await index.build(library.meaning.vectors);
    }
    return library;
  }

  /** What an effort comes to, over sentences of the library that look for their neighbours. */
  async measured({ way, effort }: Effort): Promise<Setting> {
    const { asking, own } = this.queries;
    const k = K + 1; // each finds itself
    this.truth ??= await this.exact.query(asking, { k });
    const found = await this.indexes[way].query(asking, { k, ...optionsOf(way, effort) });
    const candidates = found.candidates.reduce((sum, count) => sum + count, 0);
    const compared = candidates / own.length / this.sentences.texts.length;
    return { way, effort, compared, recall: recallOf(found, this.truth, own) };
  }

  anySentence(): string {
    const { texts } = this.sentences;
    return texts[Math.floor(Math.random() * texts.length)] as string;
  }

  async neighbours({ text, way, effort }: Wanted): Promise<FindAnswer> {
    const { texts, speeches, of } = this.sentences;
    const vector = this.meaning.vectorOf(text);
    const filter = (id: number) => texts[id] !== text; // no sentence is news to itself
    const truth = await this.exact.query(vector, { k: K, filter });
    const found = await this.indexes[way].query(vector, { k: K, filter, ...optionsOf(way, effort) });
    const neighbours = Array.from(truth.ids, (id, i) => ({
      text: texts[id] as string,
      speech: speeches[of[id] as number] as string,
      distance: truth.distances[i] as number,
      found: found.ids.includes(id),
    }));
    return {
      kind: 'neighbours',
      neighbours,
      compared: found.candidates[0] as number,
      sentences: texts.length,
    };
  }
}

function optionsOf(way: Way, effort: number): QueryOptions {
  return way === 'tables' ? { probes: effort } : { maxCandidates: effort };
}
