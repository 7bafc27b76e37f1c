/** Nearest neighbours of sentences, exactly and by hashing, and how many are found for how many comparisons. */
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  LshIndex,
  type QueryOptions,
  recallOf,
} from 'tfjs-lsh-attention/search';
import type { OpenEngine } from '../page/messages.js';
import { D, Meaning } from './meaning.js';
import { EFFORTS, type FindAnswer, type FindQuestion, K, type Setting, type Way } from './question.js';
import type { Sentences } from './sentences.js';

/** Queries that a setting is measured with. */
const ASKING = 200;
/** Buckets of a table: a sentence shares each with some dozen others. */
const BUCKETS = 64;
const TABLES = 8;

export const openFind: OpenEngine<FindQuestion, FindAnswer> = () => {
  const library = openLibrary();
  return async (question) => {
    const { sentences, meaning, answer, measured } = await library;
    switch (question.kind) {
      case 'dial':
        return { kind: 'dial', sentences: sentences.texts.length, settings: await measured() };
      case 'sentence':
        return { kind: 'sentence', text: sentences.texts[Math.floor(Math.random() * sentences.texts.length)] as string };
      case 'neighbours':
        return await answer(meaning.vectorOf(question.text), question.text, question);
    }
  };
};

async function openLibrary() {
  const { default: sentences } = (await import('virtual:sentences')) as { default: Sentences };
  const meaning = new Meaning(sentences.texts);
  const n = sentences.texts.length;
  const family = crossPolytope({ D, numBuckets: BUCKETS, tables: TABLES });
  const exact = new BruteForceIndex({ D, metric: 'cosine' });
  const indexes = {
    tables: new LshIndex({ D, metric: 'cosine', family }),
    codes: new BinaryIndex({ D, metric: 'cosine' }),
  };
  for (const index of [exact, ...Object.values(indexes)]) {
    await index.build(meaning.vectors);
  }
  const options = (way: Way, effort: number): QueryOptions =>
    way === 'tables' ? { k: K, probes: effort } : { k: K, maxCandidates: effort };

  async function measured(): Promise<Setting[]> {
    const asking = Float32Array.from({ length: ASKING * D }, (_, i) => {
      const sentence = Math.floor((Math.floor(i / D) * n) / ASKING);
      return meaning.vectors[sentence * D + (i % D)] as number;
    });
    const truth = await exact.query(asking, { k: K });
    const settings: Setting[] = [];
    for (const way of ['tables', 'codes'] as const) {
      for (const effort of EFFORTS[way]) {
        const found = await indexes[way].query(asking, options(way, effort));
        const compared = found.candidates.reduce((sum, count) => sum + count, 0) / ASKING / n;
        settings.push({ way, effort, compared, recall: recallOf(found, truth) });
      }
    }
    return settings;
  }

  async function answer(
    vector: Float32Array,
    text: string,
    { way, effort }: { way: Way; effort: number },
  ): Promise<FindAnswer> {
    const filter = (id: number) => sentences.texts[id] !== text; // no sentence is news to itself
    const truth = await exact.query(vector, { k: K, filter });
    const found = await indexes[way].query(vector, { ...options(way, effort), filter });
    const neighbours = Array.from(truth.ids, (id, i) => ({
      text: sentences.texts[id] as string,
      speech: sentences.speeches[sentences.of[id] as number] as string,
      distance: truth.distances[i] as number,
      found: found.ids.includes(id),
    }));
    return { kind: 'neighbours', neighbours, compared: found.candidates[0] as number };
  }

  return { sentences, meaning, measured, answer };
}
