import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jaccard, loadIndex, MinHashLsh, type Token } from '../../src/search/index.js';
import { jaccardOf } from '../oracle/minhash.js';

/** Small sets of few tokens of every kind: many are alike. */
const token: fc.Arbitrary<Token> = fc.oneof(
  fc.integer({ min: -3, max: 12 }),
  fc.constantFrom('a', 'b', '1', '\ud800', ''),
  fc.constantFrom(2 ** 40, Uint8Array.of(97)),
);
const sets = fc.array(fc.array(token, { maxLength: 8 }), { minLength: 1, maxLength: 12 });
const RUNS = { numRuns: 40 };
const OPTIONS = { threshold: 0.5, numHashes: 64, verify: true };

/** A token as text that tells kinds apart. */
const named = (one: Token) => `${typeof one}:${JSON.stringify(typeof one === 'object' ? [...one] : one)}`;

async function indexOf(
  all: readonly Token[][],
  ids?: number[],
  options: object = OPTIONS,
): Promise<MinHashLsh> {
  const index = new MinHashLsh(options);
  await index.add(all, ids);
  return index;
}

describe('MinHashLsh', () => {
  test('exact Jaccard is that of lists', () => {
    fc.assert(
      fc.property(fc.array(token), fc.array(token), (a, b) => {
        expect(jaccard(a, b)).toBe(jaccardOf(a.map(named), b.map(named)));
      }),
    );
  });

  test('what is found is a part of exact search, with its distances', async () => {
    await fc.assert(
      fc.asyncProperty(sets, async (all) => {
        const index = await indexOf(all);
        const { first, second, similarities } = index.pairs();
        const found = Array.from(first, (a, i) => [a, second[i], similarities[i]]);
        const exact = all.flatMap((a, i) =>
          all.flatMap((b, j) => (j > i && jaccard(a, b) >= 0.5 ? [[i, j, jaccard(a, b)]] : [])),
        );
        expect(exact).toEqual(expect.arrayContaining(found));
        // Equal sets have equal signatures.
        expect(found).toEqual(expect.arrayContaining(exact.filter(([, , similarity]) => similarity === 1)));

        const { ids, distances, found: counts, candidates } = await index.query(all, { k: all.length });
        for (const [i, set] of all.entries()) {
          for (let j = 0; j < (counts[i] as number); j++) {
            const at = i * all.length + j;
            expect(distances[at]).toBe(1 - jaccard(set, all[ids[at] as number] as Token[]));
          }
          expect(candidates[i]).toBeGreaterThanOrEqual(counts[i] as number);
          expect(distances[i * all.length]).toBe(0);
        }
      }),
      RUNS,
    );
  });

  test('added and removed in any order, then compacted: as one built fresh', async () => {
    await fc.assert(
      fc.asyncProperty(
        sets,
        fc.func(fc.integer({ min: 1, max: 3 })),
        fc.func(fc.boolean()),
        async (all, cut, keeps) => {
          const index = new MinHashLsh(OPTIONS);
          for (let at = 0; at < all.length; ) {
            const count = cut(at);
            await index.add(all.slice(at, at + count));
            const done = Math.min(all.length, at + count);
            index.remove(Array.from({ length: done }, (_, id) => id).filter((id) => id >= at && !keeps(id)));
            at = done;
          }
          const kept = Array.from(all.keys()).filter((id) => keeps(id));
          const fresh = await indexOf(
            kept.map((id) => all[id] as Token[]),
            kept,
          );
          expect(index.pairs()).toEqual(fresh.pairs());
          expect(index.size).toBe(kept.length);
          index.compact();
          expect(index.stats()).toEqual(fresh.stats());
          expect(index.pairs()).toEqual(fresh.pairs());
          expect(await index.query(all)).toEqual(await fresh.query(all));
          expect(index.save()).toEqual(fresh.save());
        },
      ),
      RUNS,
    );
  });

  test('saved and loaded: the same answers, the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(sets, fc.boolean(), async (all, verify) => {
        const index = await indexOf(all, undefined, { ...OPTIONS, verify, scheme: 'datasketch', seed: 4 });
        index.remove([1]);
        const file = index.save();
        const loaded = loadIndex(file) as MinHashLsh;
        expect(await loaded.query(all)).toEqual(await index.query(all));
        expect(loaded.pairs()).toEqual(index.pairs());
        expect(loaded.save()).toEqual(file);
      }),
      RUNS,
    );
  });

  test('a file that is cut off or changed is refused', async () => {
    const file = (await indexOf([[1, 'a'], [1, 'b'], [2]])).save();
    for (const length of [0, 7, 100, file.length - 1]) {
      expect(() => loadIndex(file.subarray(0, length)), `${length} bytes`).toThrow(
        /^loadIndex: the file cannot be read/,
      );
    }
    const text = new TextDecoder('latin1').decode(file);
    for (const [from, to] of [
      ['"starts"', '"starbs"'],
      ['\\"numHashes\\":64', '\\"numHashes\\":63'],
      ['\\"threshold\\":0.5', '\\"threshold\\":7.5'],
      ['\\"bands\\":', '\\"bonds\\":'],
    ] as const) {
      const changed = Uint8Array.from(text.replace(from, to), (letter) => letter.charCodeAt(0));
      expect(() => loadIndex(changed), from).toThrow(/^loadIndex: the file cannot be read/);
    }
  });

  test('nothing, k beyond what there is, a filter, estimates', async () => {
    const empty = new MinHashLsh();
    expect((await empty.query([[1]], { k: 2 })).ids).toEqual(Int32Array.of(-1, -1));
    expect(empty.pairs().candidates).toBe(0);
    expect(await empty.add([])).toHaveLength(0);
    expect((loadIndex(empty.save()) as MinHashLsh).size).toBe(0);
    const index = await indexOf([[1, 2, 3], [1, 2, 3], [9]], [5, 7, 9], { threshold: 0.5 });
    const { ids, distances, found, complete } = await index.query([[1, 2, 3]], { k: 3 });
    expect([...ids]).toEqual([5, 7, -1]);
    expect([...distances]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
    expect([found[0], complete]).toEqual([2, false]);
    const filtered = await index.query([[1, 2, 3]], { k: 1, filter: (id) => id !== 5 });
    expect([filtered.ids[0], filtered.candidates[0]]).toEqual([7, 1]);
    expect([...(await index.add([[4]]))]).toEqual([10]);
    expect(index.remove([5, 5, 77])).toBe(1);
    await index.build([[4]]);
    expect(index.size).toBe(1);
    index.dispose();
    expect(() => index.pairs()).toThrow('MinHashLsh.pairs: the index is disposed');
  });

  test('a range is all candidates that are near enough, exactly; filtered ones are passed over', async () => {
    await fc.assert(
      fc.asyncProperty(sets, fc.double({ min: 0, max: 0.9, noNaN: true }), async (all, radius) => {
        const index = await indexOf(all);
        const { ids, distances, starts, candidates } = await index.range(all, { radius });
        const everything = await index.query(all, { k: all.length, filter: (id) => id % 2 === 0 });
        const even = await index.range(all, { filter: (id) => id % 2 === 0 });
        for (const [i, set] of all.entries()) {
          const found = Array.from(ids.subarray(starts[i], starts[i + 1]));
          const expected = found.map((id) => 1 - jaccard(set, all[id] as Token[]));
          expect(Array.from(distances.subarray(starts[i], starts[i + 1]))).toEqual(expected);
          expect(expected.every((distance) => distance <= radius)).toBe(true);
          expect(expected).toEqual([...expected].sort((a, b) => a - b));
          // Equal sets are always candidates.
          const equal = all.flatMap((other, id) => (jaccard(set, other) === 1 ? [id] : []));
          expect(found).toEqual(expect.arrayContaining(equal));
          expect(candidates[i]).toBeGreaterThanOrEqual(found.length);
          // By default a range is what a query finds: what the threshold lets through.
          const first = i * all.length;
          expect(Array.from(even.ids.subarray(even.starts[i], even.starts[i + 1]))).toEqual(
            Array.from(everything.ids.subarray(first, first + (everything.found[i] as number))),
          );
        }
      }),
      RUNS,
    );
  });

  test('is tuned to a probability, also after sets have come, gone, and been saved', async () => {
    const index = new MinHashLsh({ threshold: 0.5, numHashes: 128, verify: true });
    // Pairs of similarity 0.5: 20 shared tokens, 10 of each one's own.
    const pairs = 300;
    const set = (pair: number, half: number) =>
      Uint32Array.from({ length: 30 }, (_, i) => 100 * pair + (i < 20 ? i : 10 * half + i + 20));
    await index.add(Array.from({ length: 2 * pairs }, (_, i) => set(i >> 1, i & 1)));
    index.remove([0, 1]);
    let before = 0;
    for (const targetRecall of [0.3, 0.9, 0.99]) {
      const { bands, rows, recall } = await index.tune({ targetRecall });
      expect(index.banding).toEqual({ bands, rows });
      expect(recall).toBeGreaterThanOrEqual(targetRecall);
      const found = index.pairs().first.length;
      const deviation = Math.sqrt((recall * (1 - recall)) / (pairs - 1));
      expect(Math.abs(found / (pairs - 1) - recall)).toBeLessThan(4 * deviation);
      expect(found).toBeGreaterThan(before);
      before = found;
      const loaded = loadIndex(index.save()) as MinHashLsh;
      expect(loaded.banding).toEqual(index.banding);
      expect(loaded.pairs().first).toEqual(index.pairs().first);
    }
    await expect(index.tune({ targetRecall: 1 })).rejects.toThrow(
      '`targetRecall` must be a number from 0 to below 1',
    );
    const short = new MinHashLsh({ threshold: 0.1, numHashes: 4 });
    await expect(short.tune({ targetRecall: 0.9 })).rejects.toThrow(
      'is out of reach of signatures of 4 hashes',
    );
  });

  test.each([
    [() => new MinHashLsh({ threshold: 0 }), '`threshold` must be above 0'],
    [() => new MinHashLsh({ threshold: 1 }), '`threshold` must be a number from 0 to below 1, got 1'],
    [() => new MinHashLsh({ numHashes: 5000 }), '`numHashes` must be an integer from 1 to 4096'],
    [() => new MinHashLsh({ bands: 3 } as object), 'there is no option `bands`'],
  ])('refuses %s', (call, message) => {
    expect(call).toThrow(message);
  });

  test('a call that fails changes nothing', async () => {
    const index = await indexOf([[1], [2]]);
    const before = index.save();
    await expect(index.add([[3], [1.5]])).rejects.toThrow('MinHashLsh.add: a number in a set');
    await expect(index.add([[3]], [1])).rejects.toThrow('none in use, got 1 again');
    await expect(index.add([[3], [4]], [1])).rejects.toThrow(
      '`ids` must be as many as there are rows, 2, got 1',
    );
    await expect(index.query([[1]], { k: 0 })).rejects.toThrow('`k` must be an integer');
    await expect(index.query([[1]], { radius: 2 } as object)).rejects.toThrow('there is no option `radius`');
    expect(index.save()).toEqual(before);
  });
});
