import { expect, test } from 'vitest';
import { readMails } from '../../examples/mails/mails.js';
import { jaccard, MinHashLsh } from '../../src/search/index.js';

/** Pairs of similarity 0.8 and more, counted exactly (Python, inverted index). */
const EXACT_PAIRS = 1448;

test('near-duplicates among 5,964 mails: recall at least .98, every pair verified', async () => {
  const mails = readMails().map(({ shingles }) => shingles);
  expect(mails.length).toBe(5964);
  expect(mails.flat().length / mails.length).toBeCloseTo(384.6862843729041, 10);
  const index = new MinHashLsh({ threshold: 0.8, verify: true });
  await index.add(mails);
  const { first, second, similarities, candidates } = index.pairs();
  expect(first.length / EXACT_PAIRS).toBeGreaterThanOrEqual(0.98);
  expect(first.length).toBeLessThanOrEqual(EXACT_PAIRS);
  expect(candidates).toBeLessThan(3 * EXACT_PAIRS);
  for (let i = 0; i < first.length; i += 7) {
    const exact = jaccard(mails[first[i] as number] ?? [], mails[second[i] as number] ?? []);
    expect(similarities[i]).toBe(exact);
    expect(exact).toBeGreaterThanOrEqual(0.8);
  }
});
