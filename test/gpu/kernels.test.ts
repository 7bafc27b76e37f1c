import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { denseAttention, lshAttention } from '../../src/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { type Recorder, withRecorder } from '../../src/webgpu/dispatch.js';
import { traitsOf } from '../../src/webgpu/traits.js';
import { expectAsExactAsFloat32 } from '../accuracy.js';
import { integers, normals, qkv } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { gradient } from '../oracle/gradient.js';
import { hash } from '../oracle/hash.js';
import { inverseNorms } from '../oracle/normalise.js';
import { at, toFloat32 } from '../oracle/shape.js';
import { keyInRange, sortByKey } from '../oracle/sort.js';
import type { AttendOptions } from '../oracle/terms.js';
import { runKernel } from './runKernel.js';

/** Rounding in float32 cannot reach farther than this, in units of |q|. */
const CLEAR_MARGIN = 1e-4;

const GARBAGE = 0x5eed5eed;

/** What a buffer holds before a kernel writes all of it. */
const garbage = (length: number) => new Int32Array(length).fill(GARBAGE);

const { subgroupSize } = traitsOf(currentDevice());

describe('hash/rotate', () => {
  test.each([
    { B: 1, H: 1, L: 1, D: 1, R: 1, factors: [2] },
    { B: 2, H: 3, L: 70, D: 3, R: 2, factors: [6] },
    { B: 2, H: 2, L: 64, D: 24, R: 3, factors: [64] },
    { B: 1, H: 2, L: 65, D: 64, R: 1, factors: [66] },
    { B: 2, H: 1, L: 33, D: 72, R: 2, factors: [4, 8] },
    { B: 1, H: 2, L: 130, D: 24, R: 2, factors: [2, 62, 6, 130] },
    { B: 1, H: 1, L: 20, D: 256, R: 2, factors: [256] },
    { B: 1, H: 1, L: 40, D: 24, R: 1, factors: Array<number>(16).fill(2) },
  ])('B=$B H=$H L=$L D=$D R=$R N=$factors', async ({ B, H, L, D, R, factors }) => {
    const subgroups = subgroupSize >= 8 && D <= 64;
    for (const kernel of subgroups
      ? (['hash/rotate', 'hash/rotate_subgroup'] as const)
      : (['hash/rotate'] as const)) {
      for (const [rotationHeads, masked] of [1, H].flatMap((heads) => [
        [heads, false] as const,
        [heads, true] as const,
      ])) {
        const F = factors.reduce((sum, f) => sum + f / 2, 0);
        const N = factors.reduce((product, f) => product * f, 1);
        const qk = normals(B * H * L * D, L);
        const rotations = normals(rotationHeads * D * R * F, D);
        const mask = integers(B * L, 3, 5);
        // With rotations of each head rounds one by one, with a shared rotation all at once.
        const ROWS = rotationHeads === H ? 1 : kernel === 'hash/rotate' ? 8 : 2;
        const together = rotationHeads === H ? 1 : R;
        const plain = kernel === 'hash/rotate';
        const tiles = Math.ceil(L / ((plain ? 8 : 64) * ROWS));
        const workgroups = tiles * Math.ceil(R / together) * B * H;
        const { buckets } = await runKernel(kernel, {
          constants: { MASKED: Number(masked) },
          sizes: { ROWS, ...(plain ? {} : { DEPTH_VECTORS: Math.ceil(D / 4) }) },
          params: {
            ...{ H, L, D, R, F, N, tiles, rotationHeads, firstRow: 0, qkStart: 0, bucketsStart: 0, together },
            halves: factors.map((f) => f / 2),
          },
          workgroups,
          buffers: { qk, rotations, mask, buckets: garbage(B * H * R * L) },
        });
        const expected = hash({ qk, rotations, ...(masked && { mask }) }, { B, H, L, D }, R, factors);
        let clear = 0;
        for (const [i, bucket] of buckets.entries()) {
          if (at(expected.margins, i) > CLEAR_MARGIN) {
            expect(bucket).toBe(expected.buckets[i]);
            clear++;
          }
        }
        expect(clear).toBeGreaterThanOrEqual(0.99 * buckets.length);
      }
    }
  });

  test('ties go to the first of [y, −y]', async () => {
    // Rotations that copy the depth: y = q. Four tokens, a winner that comes twice in each.
    const qk = new Float32Array([2, 2, -2, 1, -3, 3, 0, 3, -4, 0, -4, 4, 0, 0, -0, 0]);
    const rotations = Float32Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0));
    const { buckets } = await runKernel('hash/rotate', {
      params: {
        ...{ H: 1, L: 4, D: 4, R: 1, F: 4, N: 8, tiles: 1, rotationHeads: 1, together: 1 },
        ...{ firstRow: 0, qkStart: 0, bucketsStart: 0, halves: [4] },
      },
      workgroups: 1,
      buffers: { qk, rotations, mask: new Int32Array(4), buckets: garbage(4) },
    });
    expect(Array.from(buckets)).toEqual([0, 1, 3, 0]);
  });

  test('a batch of rows from within larger tensors', async () => {
    const { B, H, L, D, R } = { B: 2, H: 3, L: 10, D: 24, R: 2 };
    const qk = normals(B * H * L * D, 1);
    const rotations = normals(H * D * R * 4, 2);
    const mask = integers(B * L, 3, 3);
    const whole = hash({ qk, rotations, mask }, { B, H, L, D }, R, [8]).buckets;
    const [firstRow, rows, bucketsStart] = [2, 3, 7];
    const { buckets } = await runKernel('hash/rotate', {
      constants: { MASKED: 1 },
      params: {
        ...{ H, L, D, R, F: 4, N: 8, tiles: 1, rotationHeads: H, firstRow, bucketsStart, halves: [4] },
        ...{ qkStart: firstRow * L * D, together: 1 },
      },
      workgroups: R * rows,
      buffers: { qk, rotations, mask, buckets: garbage(B * H * R * L) },
    });
    const first = firstRow * R * L;
    const count = rows * R * L;
    expect(buckets.subarray(bucketsStart, bucketsStart + count)).toEqual(
      whole.subarray(first, first + count),
    );
    expect(buckets.subarray(0, bucketsStart).every((x) => x === GARBAGE)).toBe(true);
    expect(buckets.subarray(bucketsStart + count).every((x) => x === GARBAGE)).toBe(true);
  });
});

describe('sort', () => {
  interface Sort {
    readonly rows: number;
    readonly L: number;
    readonly N: number;
    readonly sliceLength: number;
    readonly keys: Int32Array;
    readonly C: number;
  }

  /** Counts, first slots, edges, order and chunks, straight from their definitions. */
  function expected({ rows, L, N, sliceLength, keys, C }: Sort) {
    const slices = Math.ceil(L / sliceLength);
    const size = N + 1;
    const counts = new Uint32Array(rows * slices * size);
    const slots = new Uint32Array(rows * slices * size);
    const order = new Uint32Array(rows * L);
    const chunks = new Uint32Array(rows * L);
    const edges: number[] = [];
    for (let row = 0; row < rows; row++) {
      const rowKeys = keys.subarray(row * L, (row + 1) * L);
      for (const [token, key] of rowKeys.entries()) {
        const slice = Math.floor(token / sliceLength);
        const i = (row * slices + slice) * size + keyInRange(key, N);
        counts[i] = at(counts, i) + 1;
      }
      let slot = 0;
      for (let key = 0; key < size; key++) {
        edges.push(slot);
        for (let slice = 0; slice < slices; slice++) {
          const i = (row * slices + slice) * size + key;
          slots[i] = slot;
          slot += at(counts, i);
        }
      }
      edges.push(slot);
      for (const [place, token] of sortByKey(rowKeys, N).entries()) {
        order[row * L + place] = token;
        chunks[row * L + token] = Math.floor(place / C);
      }
    }
    return { slices, counts, slots, order, chunks, edges };
  }

  /** What toEqual says too, which takes seconds for as many. */
  function expectSame(what: string, found: Uint32Array, wanted: Uint32Array): void {
    expect(found.length, what).toBe(wanted.length);
    const first = found.findIndex((x, i) => x !== wanted[i]);
    expect(first, `first of ${what} that is ${found[first]}, not ${wanted[first]}`).toBe(-1);
  }

  async function checkSort(sort: Sort): Promise<void> {
    const { rows, L, N, sliceLength, keys, C } = sort;
    const { slices, counts, slots, order, chunks, edges } = expected(sort);
    const windowsStart = rows * L + 5;
    const params = { L, C, N, slices, sliceLength, keysStart: 0, windowsStart };
    const counted = await runKernel('sort/count', {
      params,
      workgroups: rows * slices,
      buffers: { keys, counts: new Uint32Array(counts.length).fill(GARBAGE) },
    });
    expectSame('counts', counted.counts, counts);
    for (const WRITE of [0, 1]) {
      const untouched = new Uint32Array(windowsStart + Math.max(edges.length, rows * L)).fill(GARBAGE);
      const scanned = await runKernel('sort/scan', {
        constants: { WRITE_EDGES: WRITE },
        params,
        workgroups: rows,
        buffers: { counts, index: untouched },
      });
      expectSame('slots', scanned.counts, slots);
      const withEdges = untouched.slice();
      withEdges.set(WRITE ? edges : [], windowsStart);
      expectSame('edges', scanned.index, withEdges);

      const placed = await runKernel('sort/place', {
        constants: { WRITE_CHUNKS: WRITE, SHARED: Number(N >= 1024 || WRITE === 1) },
        params,
        workgroups: rows * slices,
        buffers: { keys, counts: slots, index: untouched },
      });
      const withChunks = untouched.slice();
      withChunks.set(order);
      withChunks.set(WRITE ? chunks : [], windowsStart);
      expectSame('order and chunks', placed.index, withChunks);
    }
  }

  const random = (rows: number, L: number, N: number) => integers(rows * L, N + 1, L + N);

  test.each([
    { rows: 1, L: 1, N: 2, sliceLength: 1 },
    { rows: 3, L: 255, N: 2, sliceLength: 255 },
    { rows: 2, L: 256, N: 6, sliceLength: 100 },
    { rows: 2, L: 257, N: 64, sliceLength: 256 },
    { rows: 2, L: 3000, N: 255, sliceLength: 1024 },
    { rows: 1, L: 9000, N: 2047, sliceLength: 8192 },
    { rows: 2, L: 5000, N: 2048, sliceLength: 999 },
    { rows: 1, L: 4000, N: 5000, sliceLength: 4000 },
    { rows: 1, L: 70_001, N: 6, sliceLength: 1024 },
    { rows: 1, L: 70_000, N: 65_536, sliceLength: 40_000 },
  ])('$rows rows of $L, $N buckets, slices of $sliceLength', async (sizes) => {
    await checkSort({ ...sizes, C: 64, keys: random(sizes.rows, sizes.L, sizes.N) });
  });

  test.each([0, 6, 64])('all keys %i', async (key) => {
    await checkSort({
      rows: 2,
      L: 2100,
      N: 64,
      sliceLength: 1024,
      C: 7,
      keys: new Int32Array(4200).fill(key),
    });
  });

  test('keys out of range go to the end with the padding, keys below zero where their complements do', async () => {
    const keys = random(2, 700, 6).map((key, i) =>
      i % 5 === 0 ? ([-1, 7, 2 ** 31 - 1, -(2 ** 31), -4][i % 7] ?? key) : key,
    );
    await checkSort({ rows: 2, L: 700, N: 6, sliceLength: 256, C: 16, keys });
  });

  test('falling and rising keys', async () => {
    const keys = Int32Array.from({ length: 1200 }, (_, i) => (i < 600 ? 600 - i : i - 600));
    await checkSort({ rows: 1, L: 1200, N: 600, sliceLength: 500, C: 16, keys });
  });

  test('a batch of rows from within a larger tensor', async () => {
    const [L, N, keysStart] = [300, 6, 41];
    const all = random(1, 1000, N);
    const keys = all.subarray(keysStart, keysStart + 2 * L);
    const { counts, slots, order } = expected({ rows: 2, L, N, sliceLength: 100, keys, C: 16 });
    const params = { L, C: 16, N, slices: 3, sliceLength: 100, keysStart, windowsStart: 2 * L };
    const empty = (length: number) => new Uint32Array(length);
    const counted = await runKernel('sort/count', {
      params,
      workgroups: 6,
      buffers: { keys: all, counts: empty(counts.length) },
    });
    expect(counted.counts).toEqual(counts);
    const placed = await runKernel('sort/place', {
      params,
      workgroups: 6,
      buffers: { keys: all, counts: slots, index: empty(4 * L) },
    });
    expect(placed.index.subarray(0, 2 * L)).toEqual(order);
  });
});

describe('sort/arrange', () => {
  test.each([
    { rows: 1, L: 1, C: 1 },
    { rows: 2, L: 70, C: 1 },
    { rows: 2, L: 130, C: 7 },
    { rows: 3, L: 200, C: 64 },
    { rows: 1, L: 64, C: 65 },
    { rows: 2, L: 301, C: 100 },
    { rows: 2, L: 2100, C: 1024 },
  ])('$rows rows of $L in chunks of $C', async ({ rows, L, C }) => {
    const orders = Array.from({ length: rows }, (_, row) =>
      sortByKey(
        [...normals(L, row + 1)].map((number) => Math.round(1e6 * number)),
        1e9,
      ),
    );
    const arranged = orders.flatMap((order) =>
      order.map((_, slot) => {
        const chunk = order.slice(slot - (slot % C), slot - (slot % C) + C);
        return chunk.sort((a, b) => a - b)[slot % C] as number;
      }),
    );
    const tiles = Math.ceil(L / (Math.max(1, Math.floor(64 / C)) * C));
    const { index } = await runKernel('sort/arrange', {
      params: { L, C, tiles },
      workgroups: rows * tiles,
      buffers: { index: Uint32Array.from([...orders.flat(), GARBAGE]) },
    });
    expect(index).toEqual(Uint32Array.from([...arranged, GARBAGE]));
  });
});

describe('attend/normalise', () => {
  test.each([
    [1, 4],
    [17, 12],
    [130, 24],
    [33, 64],
    [5, 256],
  ])('%i tokens of depth %i', async (tokens, D) => {
    const start = 8;
    const qk = normals(start + tokens * D, D);
    qk.fill(0, start, start + D); // a zero vector
    if (tokens > 1) {
      qk[start + D] = 1e4;
    }
    const result = await runKernel('attend/normalise', {
      params: { D, tokens, qkStart: start, epsilon: D * 1e-6 },
      workgroups: Math.ceil(tokens / 64),
      buffers: { qk, inverseNorms: new Float32Array(tokens + 1).fill(7) },
    });
    const exact = inverseNorms(qk.subarray(start), D);
    const naive = inverseNorms(qk.subarray(start), D, toFloat32);
    for (let token = 0; token < tokens; token++) {
      // One by one: the zero vector's is a thousand times the others'.
      expectAsExactAsFloat32(
        [at(result.inverseNorms, token)],
        [at(exact, token)],
        [at(naive, token)],
        `token ${token}`,
      );
    }
    expect(result.inverseNorms[tokens]).toBe(7);
  });
});

/** Options of the attend kernels, by themselves: the contract's letters. */
const ATTEND_CASES = [
  { L: 33, C: 5, P: 2, A: 1, R: 3, duplicates: 'correct', causal: false, acrossBuckets: true },
  { L: 40, C: 16, P: 1, A: 0, R: 2, duplicates: 'count', causal: true, acrossBuckets: true },
  { L: 40, C: 16, P: 1, A: 0, R: 3, duplicates: 'correct', causal: true, acrossBuckets: false },
  { L: 32, C: 8, P: 1, A: 1, R: 2, duplicates: 'count', causal: false, acrossBuckets: false, wrap: true },
  { L: 32, C: 8, P: 2, A: 0, R: 2, duplicates: 'count', causal: true, acrossBuckets: true, wrap: true },
  { L: 70, C: 40, P: 0, A: 0, R: 2, duplicates: 'correct', causal: false, acrossBuckets: true },
  { L: 70, C: 1, R: 2, duplicates: 'correct', causal: true, window: 'bucket' },
  { L: 70, C: 1, R: 2, duplicates: 'count', causal: false, window: 'bucket', dropout: 0.25, seed: 7 },
  { L: 40, C: 16, P: 1, A: 0, R: 2, duplicates: 'correct', causal: false, dropout: 0.5, seed: 8 },
] as const satisfies readonly (Omit<AttendOptions, 'N'> & { L: number })[];

/** Inputs of an attend kernel: two rows, some tokens of padding, sorted by the oracle. */
function attendCase(options: Omit<AttendOptions, 'N'> & { readonly L: number }) {
  const { L, R, C, P = 0, A = 0, window, dropout = 0 } = options;
  const [N, rows, scale] = [6, 2, 0.7];
  const shape = { B: 1, H: rows, L, D: 24, E: 40 };
  const { qk, v } = qkv(shape, 3);
  const isPadding = (token: number) => token % 9 === 4;
  const buckets = integers(rows * R * L, N, 4).map((bucket, i) => (isPadding(i % L) ? N : bucket));
  const windowsStart = rows * R * L;
  const index = new Uint32Array(windowsStart + rows * R * Math.max(L, N + 2));
  for (let row = 0; row < rows * R; row++) {
    const ids = buckets.subarray(row * L, (row + 1) * L);
    for (const [slot, token] of sortByKey(ids, N).entries()) {
      index[row * L + slot] = token;
      if (window !== 'bucket') {
        index[windowsStart + row * L + token] = Math.floor(slot / C);
      }
    }
    for (let bucket = 0; window === 'bucket' && bucket < N + 2; bucket++) {
      index[windowsStart + row * (N + 2) + bucket] = ids.filter((id) => id < bucket).length;
    }
  }
  const tiles = Math.ceil(L / 32);
  const params = {
    ...{ L, D: shape.D, E: shape.E, R, C, P, A, N, tiles, H: rows, firstRow: 0 },
    ...{ qkStart: 0, vStart: 0, bucketsStart: 0, windowsStart },
    bucketWindow: Number(window === 'bucket'),
    causal: Number(options.causal),
    wrap: Number(options.wrap ?? false),
    acrossBuckets: Number(options.acrossBuckets ?? true),
    correct: Number(options.duplicates === 'correct'),
    seed: options.seed ?? 0,
    dropBelow: dropout * 2 ** 32,
    keep: 1 / (1 - dropout),
  };
  const letters = { ...options, P, A, N, scale };
  const inputs = { qk, v, buckets };
  return { shape, inputs, letters, params, index, isPadding, workgroups: rows * tiles, scale };
}

describe('attend/forward', () => {
  // Given the oracle's sort, round after round: this kernel alone, in the variants that the device can run.
  const variants = [
    { kernel: 'attend/forward', ROWS: 4, tile: 32 } as const,
    ...(subgroupSize < 8 ? [] : [1, 2]).map(
      (ROWS) => ({ kernel: 'attend/forward_subgroup', ROWS, tile: 64 * ROWS }) as const,
    ),
  ];
  const cases = variants.flatMap((variant) => ATTEND_CASES.map((options) => [variant, options] as const));
  test.each(cases)('%o %o', async ({ kernel, ROWS, tile }, options) => {
    const { shape, inputs, letters, params, index, isPadding, scale } = attendCase(options);
    const { H, L, D, E } = shape;
    const subgroup = kernel !== 'attend/forward';
    const tiles = Math.ceil(L / tile);
    let out: Float32Array = new Float32Array(H * L * E).fill(Number.NaN);
    let lse: Float32Array = new Float32Array(H * L).fill(Number.NaN);
    for (let round = 0; round < options.R; round++) {
      const result = await runKernel(kernel, {
        constants: {
          DROPOUT: Number(params.dropBelow > 0),
          ...(subgroup && { WRAP: params.wrap, LOOPED: 1 }),
        },
        sizes: subgroup
          ? { ROWS, SUBGROUP: subgroupSize, DEPTH_VECTORS: D / 4, COLUMN_VECTORS: E / 4 }
          : { ROWS, COLUMN_VECTORS: 2 },
        params: { ...params, tiles, round, outStart: 0, lseStart: 0, scale: scale * Math.LOG2E },
        workgroups: H * tiles,
        buffers: { ...inputs, inverseNorms: Float32Array.from(inverseNorms(inputs.qk, D)), index, out, lse },
      });
      out = result.out;
      lse = result.lse;
    }
    const exact = attend(inputs, shape, letters);
    const naive = attend(inputs, shape, letters, toFloat32);
    expectAsExactAsFloat32(out, exact.out, naive.out, 'out');
    const seen = Array.from(lse.keys()).filter((i) => !isPadding(i % L) && at(exact.lse, i) > -1e37);
    expect(seen.length).toBeGreaterThan(L);
    const of = (values: ArrayLike<number>) => seen.map((i) => at(values, i));
    expectAsExactAsFloat32(of(lse), of(exact.lse), of(naive.lse), 'lse');
  });
});

describe('attend/delta', () => {
  test.each([
    [1, 1],
    [130, 3],
    [65, 24],
    [3, 256],
  ])('%i tokens of depth %i', async (tokens, E) => {
    const start = 3;
    const out = normals(start + tokens * E, 1);
    const grad = normals(start + tokens * E, 2);
    const lse = normals(start + tokens, 3);
    const lseGrad = normals(start + tokens, 4);
    const norms = normals(tokens, 5);
    const { facts } = await runKernel('attend/delta', {
      params: { E, tokens, outStart: start, gradStart: start, lseStart: start, lseGradStart: start },
      workgroups: Math.ceil(tokens / 64),
      buffers: {
        inverseNorms: norms,
        out,
        grad,
        lse,
        lseGrad,
        facts: new Float32Array(4 * tokens + 4).fill(7),
      },
    });
    for (let token = 0; token < tokens; token++) {
      const terms = Array.from({ length: E }, (_, e) => {
        const i = start + token * E + e;
        return at(out, i) * at(grad, i);
      });
      const delta = terms.reduce((sum, term) => sum + term, -at(lseGrad, start + token));
      const size = terms.reduce((sum, term) => sum + Math.abs(term), 1);
      expect(facts[4 * token]).toBe(norms[token]);
      expect(facts[4 * token + 1]).toBeCloseTo(at(lse, start + token) * Math.LOG2E, 5);
      expect(Math.abs(at(facts, 4 * token + 2) - delta)).toBeLessThan(1e-6 * size);
    }
    expect(facts.subarray(4 * tokens)).toEqual(new Float32Array(4).fill(7));
  });
});

describe('attend/backward_query and attend/backward_key', () => {
  // Given the oracles' sort and log-sum-exps: these kernels alone, round after round.
  test.each(ATTEND_CASES)('%o', async (options) => {
    const { shape, inputs, letters, params, index, workgroups, scale } = attendCase(options);
    const { H, L, D, E } = shape;
    const dOut = normals(H * L * E, 11);
    const dLse = normals(H * L, 12);
    const { out, lse } = attend(inputs, shape, letters);
    const norms = inverseNorms(inputs.qk, D);
    const facts = Float32Array.from({ length: 4 * H * L }, (_, i) => {
      const token = Math.floor(i / 4);
      const products = Array.from({ length: E }, (_, e) => at(dOut, token * E + e) * at(out, token * E + e));
      const delta = products.reduce((sum, product) => sum + product, -at(dLse, token));
      return [at(norms, token), at(lse, token) * Math.LOG2E, delta, 0][i % 4] as number;
    });
    const common = { ...inputs, grad: dOut, facts, index };
    let dqk: Float32Array = new Float32Array(H * L * D).fill(Number.NaN);
    let dv: Float32Array = new Float32Array(H * L * E).fill(Number.NaN);
    for (let round = 0; round < options.R; round++) {
      const starts = { gradStart: 0, dqkStart: 0, dvStart: 0 };
      const all = { ...params, ...starts, round, scale, logitScale: scale * Math.LOG2E };
      const ofQueries = await runKernel('attend/backward_query', {
        sizes: { DEPTH_VECTORS: 1 },
        params: all,
        workgroups,
        buffers: { ...common, dqk },
      });
      const ofKeys = await runKernel('attend/backward_key', {
        sizes: { DEPTH_VECTORS: 1, COLUMN_VECTORS: 2 },
        params: all,
        workgroups,
        buffers: { ...common, dqk: ofQueries.dqk, dv },
      });
      dqk = ofKeys.dqk;
      dv = ofKeys.dv;
    }
    const exact = gradient(inputs, { dOut, dLse }, shape, letters);
    const naive = gradient(inputs, { dOut, dLse }, shape, letters, toFloat32);
    expectAsExactAsFloat32(dqk, exact.dqk, naive.dqk, 'dqk', 3);
    expectAsExactAsFloat32(dv, exact.dv, naive.dv, 'dv', 3);
  });
});

// What runs with LSH_DEVICE=own would otherwise pass by the kernels that every device has.
test.runIf(process.env.LSH_DEVICE === 'own' && (currentDevice().adapterInfo.subgroupMinSize ?? 0) >= 8)(
  'calls on a device of our own run by subgroups',
  () => {
    const kernels = new Set<string>();
    const note: Recorder = (_device, _encoder, passes) => {
      for (const { kernel } of passes) {
        kernels.add(kernel);
      }
    };
    withRecorder(note, () =>
      tf.tidy(() => {
        const qk = tf.zeros([64, 8]);
        lshAttention(qk, qk);
        denseAttention(qk, qk);
      }),
    );
    expect([...kernels]).toEqual(
      expect.arrayContaining(['attend/forward_subgroup', 'dense/forward_subgroup']),
    );
  },
);
