import { describe, expect, test } from 'vitest';
import { largestError } from '../accuracy.js';
import { integers, normals } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { at } from '../oracle/shape.js';
import { runKernel } from './runKernel.js';

const GARBAGE = 0x5eed5eed;
const garbage = (length: number) => new Uint32Array(length).fill(GARBAGE);

describe('decode/copy', () => {
  const words = (count: number) => Uint32Array.from({ length: count }, (_, i) => 1000 + i);
  const defaults = { targetOffset: 0, sourceStart: 0, targetStart: 0, firstSource: 0, firstTarget: 0 };

  test('lines into the middle of longer ones, starting within the bindings', async () => {
    const [lines, count, targetStride] = [5, 70, 100];
    const source = words(3 + lines * count);
    const { copied } = await runKernel('decode/copy', {
      params: {
        ...{ ...defaults, lines, count, sourceStride: count, targetStride, targetOffset: 20, entries: 0 },
        ...{ sourceStart: 3, targetStart: 2, sourceLines: lines, linesPerEntry: 1 },
      },
      workgroups: 2,
      buffers: { source, indices: new Int32Array(1), copied: garbage(2 + lines * targetStride) },
    });
    const expected = garbage(copied.length);
    for (let line = 0; line < lines; line++) {
      expected.set(source.subarray(3 + line * count, 3 + (line + 1) * count), 2 + line * targetStride + 20);
    }
    expect(copied).toEqual(expected);
  });

  test('batch entries by their indices, the nearest for one that there is not', async () => {
    const [linesPerEntry, count, sourceStride, targetStride] = [3, 4, 6, 5];
    const indices = new Int32Array([2, 0, 2, -7, 9]);
    const source = words(3 * linesPerEntry * sourceStride);
    const params = { ...defaults, count, sourceStride, targetStride, entries: 3, linesPerEntry };
    const lines = indices.length * linesPerEntry;
    const expected = garbage(lines * targetStride);
    for (const [b, entry] of [2, 0, 2, 0, 2].entries()) {
      for (let line = 0; line < linesPerEntry; line++) {
        const from = (entry * linesPerEntry + line) * sourceStride;
        expected.set(source.subarray(from, from + count), (b * linesPerEntry + line) * targetStride);
      }
    }
    const whole = await runKernel('decode/copy', {
      params: { ...params, lines, sourceLines: 9 },
      workgroups: 1,
      buffers: { source, indices, copied: garbage(expected.length) },
    });
    expect(whole.copied).toEqual(expected);

    // The same in four passes: source lines 0 … 3 and 4 … 8, target lines 0 … 6 and 7 … 14.
    let copied = garbage(expected.length);
    for (const [firstSource, sourceLines] of [
      [0, 4],
      [4, 5],
    ] as const) {
      for (const [firstTarget, count] of [
        [0, 7],
        [7, 8],
      ] as const) {
        const part = { firstSource, sourceLines, firstTarget, lines: count };
        const starts = { sourceStart: firstSource * sourceStride, targetStart: firstTarget * targetStride };
        const run = await runKernel('decode/copy', {
          params: { ...params, ...part, ...starts },
          workgroups: 1,
          buffers: { source, indices, copied },
        });
        copied = run.copied as typeof copied;
      }
    }
    expect(copied).toEqual(expected);
  });
});

/** Links and heads after `buckets [rows, L]`, straight from their definition. */
function linked(buckets: Int32Array, rows: number, L: number, N: number) {
  const links = new Uint32Array(rows * L);
  const heads = new Uint32Array(rows * N);
  for (const [i, bucket] of buckets.entries()) {
    if (bucket >= 0 && bucket < N) {
      const head = Math.floor(i / L) * N + bucket;
      links[i] = at(heads, head);
      heads[head] = (i % L) + 1;
    }
  }
  return { links, heads };
}

describe('decode/link', () => {
  test.each([
    { rows: 1, N: 2, sizes: [1, 1, 1] },
    { rows: 6, N: 4, sizes: [64, 1, 63, 65, 7] },
    { rows: 3, N: 100, sizes: [200, 1, 130] },
  ])('$rows rows, $N buckets, tokens in pieces of $sizes', async ({ rows, N, sizes }) => {
    const L = sizes.reduce((sum, n) => sum + n, 0);
    const capacity = L + 5;
    // Padding is N; what is out of range counts as padding.
    const ids = integers(rows * L, N + 3, 7).map((id) => (id === N + 2 ? -1 : id));
    let held = {
      buckets: new Int32Array(rows * capacity).fill(GARBAGE),
      links: garbage(rows * capacity),
      heads: new Uint32Array(rows * N),
    };
    let length = 0;
    for (const T of sizes) {
      const newBuckets = new Int32Array(rows * T);
      for (let row = 0; row < rows; row++) {
        newBuckets.set(ids.subarray(row * L + length, row * L + length + T), row * T);
      }
      const starts = { newBucketsStart: 0, bucketsStart: 0, linksStart: 0, headsStart: 0 };
      const { newBuckets: _, ...after } = await runKernel('decode/link', {
        params: { T, N, length, capacity, ...starts },
        workgroups: rows,
        buffers: { newBuckets, ...held },
      });
      held = after as typeof held;
      length += T;
    }
    const expected = linked(ids, rows, L, N);
    expect(held.heads).toEqual(expected.heads);
    for (let row = 0; row < rows; row++) {
      const [begin, end] = [row * capacity, row * capacity + L];
      expect(held.links.subarray(begin, end)).toEqual(expected.links.subarray(row * L, (row + 1) * L));
      const inRange = ids.subarray(row * L, (row + 1) * L).map((id) => (id < 0 || id > N ? N : id));
      expect(held.buckets.subarray(begin, end)).toEqual(inRange);
      expect(held.links.subarray(end, begin + capacity)).toEqual(garbage(5));
    }
  });
});

describe('decode/attend', () => {
  const [L, D, E, R, N] = [60, 8, 5, 3, 4];
  const qk = normals(L * D, 1);
  const v = normals(L * E, 2);
  const buckets = integers(R * L, N, 3);
  const { links } = linked(buckets, R, L, N);
  const query = L - 1;

  /** What the last token gets when its lists are these. */
  async function last(lists: Uint32Array, correct: boolean) {
    const starts = { qkStart: 0, vStart: 0, bucketsStart: 0, linksStart: 0, outStart: 0, lseStart: 0 };
    const { out } = await runKernel('decode/attend', {
      constants: { CORRECT: Number(correct) },
      params: { ...{ T: 1, D, E, R, length: query, capacity: L, scale: Math.LOG2E }, ...starts },
      workgroups: 1,
      buffers: { qk, v, buckets, links: lists, out: new Float32Array(E), lse: new Float32Array(1) },
    });
    return out;
  }

  /** The same in float64, for the tokens that each round's list leads to. */
  function expected(rounds: readonly (readonly number[])[], correct: boolean) {
    // Every round's tokens in bucket 0, all others in one of their own.
    const ids = Int32Array.from({ length: R * L }, (_, i) => 1 + i);
    for (const [r, tokens] of rounds.entries()) {
      for (const token of [...tokens, query]) {
        ids[r * L + token] = 0;
      }
    }
    const rule = { R, N: R * L + 1, C: 1, window: 'bucket', causal: true } as const;
    const duplicates = correct ? 'correct' : 'count';
    const { out } = attend({ qk, v, buckets: ids }, { B: 1, H: 1, L, D, E }, { ...rule, duplicates });
    return out.subarray(query * E);
  }

  /** The tokens of each round's list, by walking it. */
  function walked(lists: Uint32Array): number[][] {
    return Array.from({ length: R }, (_, r) => {
      const tokens: number[] = [];
      for (let next = at(lists, r * L + query); next > 0; next = at(lists, r * L + next - 1)) {
        tokens.push(next - 1);
      }
      return tokens;
    });
  }

  test.each([true, false])('sees what the lists hold, corrected %s', async (correct) => {
    expect(walked(links).every((tokens) => tokens.length > 4)).toBe(true);
    expect(largestError(await last(links, correct), expected(walked(links), correct))).toBeLessThan(1e-5);
  });

  test('and no token behind a link that is cut: it looks nowhere else', async () => {
    const cut = links.slice();
    const third = walked(links).map((tokens) => tokens[2] as number);
    for (const [r, token] of third.entries()) {
      cut[r * L + token] = 0;
    }
    const seen = walked(cut);
    expect(seen.map((tokens) => tokens.length)).toEqual([3, 3, 3]);
    const found = await last(cut, false);
    expect(largestError(found, expected(seen, false))).toBeLessThan(1e-5);
    expect(largestError(found, expected(walked(links), false))).toBeGreaterThan(1e-2);
  });

  test('a list that does not go back in time ends there', async () => {
    const circular = links.slice();
    const first = walked(links).map((tokens) => tokens[0] as number);
    for (const [r, token] of first.entries()) {
      circular[r * L + token] = token + 1;
    }
    const seen = first.map((token) => [token]);
    expect(largestError(await last(circular, false), expected(seen, false))).toBeLessThan(1e-5);
  });
});
