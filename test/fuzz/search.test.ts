/** Random lives of indexes: what they find is what a list of the same vectors has, or they refuse and stay as they were. */
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  loadIndex,
  MinHashLsh,
  type Token,
} from '../../src/search/index.js';
import { BACKENDS } from '../call.js';
import { normals } from '../inputs.js';
import { jaccardOf } from '../oracle/minhash.js';
import { expectFinite, fuzz, outcome } from './fuzz.js';
import { junk, mostly, optionsOf, Wanted, withReal } from './junk.js';

const D = 3;
const METHODS = ['build', 'add', 'remove', 'compact', 'query', 'range', 'tune', 'stats', 'save'] as const;

interface Step {
  readonly method: (typeof METHODS)[number];
  readonly key: number;
  readonly n: number;
  readonly form: 'array' | 'tensor' | 'float64';
  /** In place of the first argument. */
  readonly rows: unknown;
  /** Ids to build, add or remove, or the default. */
  readonly ids: unknown;
  readonly options: Record<string, unknown>;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    method: fc.constantFrom(...METHODS),
    key: fc.nat(),
    n: fc.integer({ min: 0, max: 6 }),
    form: fc.constantFrom('array', 'array', 'tensor', 'float64'),
    // Junk that is rows all the same would be unknown to the list beside the index.
    rows: mostly(fc.constant<unknown>('fit'), 25).filter(
      (one) => !(one instanceof Wanted && one.shape.at(-1) === D),
    ),
    ids: mostly(
      fc.oneof(fc.constant(undefined), fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 6 })),
      25,
    ),
    options: optionsOf({
      k: fc.integer({ min: 1, max: 8 }),
      filter: fc.constant((id: number) => id % 2 === 0),
      maxCandidates: fc.constantFrom(1, 1000),
      probes: fc.constantFrom(1, 8),
      hammingRadius: fc.constantFrom(0, 3),
      targetRecall: fc.constantFrom(0.5, 1),
      radius: fc.constantFrom(0, 1, 3),
    }),
  }),
  { minLength: 1, maxLength: 8 },
) as fc.Arbitrary<Step[]>;

const settings = {
  D: fc.constant(D),
  metric: fc.constantFrom('euclidean', 'cosine'),
  storage: fc.constantFrom('float32', 'float16', 'float64'),
};
const hashed = {
  ...settings,
  center: fc.boolean(),
  family: fc.constantFrom(
    undefined,
    hyperplanes({ D, bits: 3, tables: 2 }),
    crossPolytope({ D, numBuckets: 4, tables: 2 }),
    hyperplanes({ D: 4 }),
  ),
};
const KINDS = {
  BruteForceIndex: {
    make: (options: never) => new BruteForceIndex(options),
    options: optionsOf({ ...settings, metric: fc.constantFrom('euclidean', 'cosine', 'innerProduct') }, [
      'D',
    ]),
  },
  BinaryIndex: { make: (options: never) => new BinaryIndex(options), options: optionsOf(hashed, ['D']) },
  LshIndex: { make: (options: never) => new LshIndex(options), options: optionsOf(hashed, ['D']) },
};

type Index = BruteForceIndex | BinaryIndex | LshIndex;
type Model = Map<number, readonly number[]>;

/** One call of an index, and of the list that it is held against; whether the index answered. */
async function take(index: Index, model: Model, step: Step): Promise<boolean> {
  const { method, key, n, options } = step;
  const names = [`${index.kind}.${method}`];
  const rows = normals(n * D, key);
  const given = step.rows === 'fit' ? formed(rows, step.form) : step.rows;
  const call = <T>(answer: () => T | Promise<T>) => outcome(names, answer);
  const put = (ids: Iterable<number>) => {
    for (const [i, id] of [...ids].entries()) {
      model.set(id, [...rows.subarray(i * D, (i + 1) * D)]);
    }
  };
  return await withReal([given, step.ids], async ([vectors, ids]) => {
    switch (method) {
      case 'build': {
        const built = await call(() => index.build(vectors as Float32Array, ids as number[]));
        if (built !== undefined) {
          model.clear();
          put((ids as number[] | undefined) ?? rows.filter((_, i) => i % D === 0).map((_, i) => i));
        }
        return built !== undefined;
      }
      case 'add': {
        const added = await call(() => index.add(vectors as Float32Array, ids as number[]));
        put(added?.value ?? []);
        return added !== undefined;
      }
      case 'remove': {
        const removed = await call(() => index.remove(ids as number[]));
        if (removed !== undefined) {
          const there = new Set([...(ids as number[])].filter((id) => model.delete(id)));
          expect(removed.value).toBe(there.size);
        }
        return removed !== undefined;
      }
      case 'query': {
        const found = await call(() => index.query(vectors as Float32Array, options));
        if (found !== undefined) {
          const { ids: near, distances, found: counts, k } = found.value;
          expect(near.length).toBe(counts.length * k);
          near.forEach((id, i) => {
            expect(id === -1 ? distances[i] === Number.POSITIVE_INFINITY : model.has(id)).toBe(true);
          });
          expectFinite(
            distances.filter((_, i) => near[i] !== -1),
            'distances',
          );
          expectNearest(index, model, rows, found.value, options);
        }
        return found !== undefined;
      }
      case 'range': {
        const found = await call(() => index.range(vectors as Float32Array, options as never));
        if (found !== undefined) {
          expectFinite(found.value.distances, 'distances');
          expect(found.value.ids.every((id) => model.has(id))).toBe(true);
        }
        return found !== undefined;
      }
      case 'tune': {
        if (index instanceof BruteForceIndex) {
          return false;
        }
        // A null is an object to spread, and stays one to give.
        const told = n % 2 === 0 || options === null ? options : { targetRecall: 0.5, ...options };
        const tuned = await call(() => index.tune(told as never));
        if (tuned !== undefined) {
          expect(tuned.value.recall).toBeGreaterThanOrEqual(0);
          expect(tuned.value.recall).toBeLessThanOrEqual(1);
        }
        return tuned !== undefined;
      }
      case 'compact':
        return (await call(() => index.compact())) !== undefined;
      case 'stats': {
        const stats = await call(() => index.stats());
        expect(stats?.value.rows).toBe(model.size);
        return true;
      }
      case 'save': {
        const saved = await call(() => index.save());
        if (saved !== undefined) {
          const read = await outcome(['loadIndex'], () => loadIndex(saved.value));
          expect(read?.value.save()).toEqual(saved.value);
        }
        return saved !== undefined;
      }
    }
  });
}

function formed(rows: Float32Array, form: Step['form']): unknown {
  return form === 'tensor'
    ? new Wanted([rows.length / D, D], 'float32', rows)
    : form === 'array'
      ? rows
      : new Float64Array(rows);
}

/** Exact search finds the nearest, by distances in float64 of what is stored in at least float16. */
function expectNearest(
  index: Index,
  model: Model,
  queries: Float32Array,
  { distances, found, k }: Awaited<ReturnType<Index['query']>>,
  options: Record<string, unknown>,
): void {
  if (!(index instanceof BruteForceIndex) || queries.length !== D * found.length) {
    return;
  }
  const filter = (options.filter ?? (() => true)) as (id: number) => boolean;
  const vectors = [...model].filter(([id]) => filter(id)).map(([, vector]) => vector);
  const near = index.storage === 'float16' ? 0.05 : 1e-5;
  for (let i = 0; i < found.length; i++) {
    const query = [...queries.subarray(i * D, (i + 1) * D)];
    const exact = vectors.map((vector) => distanceOf(index.metric, query, vector)).sort((a, b) => a - b);
    expect(found[i]).toBe(Math.min(k, exact.length));
    for (let j = 0; j < (found[i] as number); j++) {
      expect(Math.abs((distances[i * k + j] as number) - (exact[j] as number))).toBeLessThan(near);
    }
  }
}

function distanceOf(metric: string, a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, d) => sum + value * (y[d] as number), 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return {
    euclidean: Math.hypot(...a.map((value, d) => value - (b[d] as number))),
    cosine: lengths === 0 ? 1 : 1 - dot(a, b) / lengths,
    innerProduct: -dot(a, b),
  }[metric] as number;
}

describe.each(BACKENDS)('on %s', (backend) => {
  describe.each(Object.entries(KINDS))('%s', (kind, { make, options }) => {
    fuzz(
      kind,
      fc.tuple(options, steps),
      async ([given, life]) => {
        const made = await outcome([kind, `${kind}.constructor`, 'hyperplanes'], () => make(given as never));
        if (made === undefined || made.value.D !== D) {
          return false;
        }
        const model: Model = new Map();
        let answers = 0;
        for (const step of life) {
          answers += Number(await take(made.value, model, step));
          expect(made.value.size).toBe(model.size);
        }
        made.value.dispose();
        expect(await outcome([`${kind}.save`], () => made.value.save())).toBeUndefined();
        return answers > 0;
      },
      { backend, share: backend === 'cpu' ? 1 : 0.05 },
    );
  });

  const tokens = mostly(
    fc.array(fc.constantFrom<Token>(1, 2, 3, 'a', 'b', new Uint8Array([7])), { maxLength: 5 }),
    40,
  );
  const sets = mostly(fc.array(tokens, { maxLength: 4 }), 30);
  fuzz(
    'MinHashLsh',
    fc.record({
      options: optionsOf({
        threshold: fc.constantFrom(0.2, 0.5, 0.9),
        missWeight: fc.constantFrom(0.1, 0.5),
        verify: fc.boolean(),
        numHashes: fc.integer({ min: 1, max: 12 }),
        seed: fc.constantFrom(0, 7),
        scheme: fc.constantFrom('fmix32', 'datasketch'),
      }),
      ...{ first: sets, second: sets, asked: sets, removed: mostly(fc.array(fc.nat(5), { maxLength: 4 })) },
      query: optionsOf({ k: fc.integer({ min: 1, max: 5 }), filter: fc.constant((id: number) => id > 0) }),
      ids: mostly(fc.constant(undefined), 20),
    }),
    async ({ options, first, second, asked, removed, query, ids }) => {
      const made = await outcome(['MinHashLsh'], () => new MinHashLsh(options as object));
      if (made === undefined) {
        return false;
      }
      const index = made.value;
      const call = <T>(method: string, answer: () => T | Promise<T>) =>
        outcome([`MinHashLsh.${method}`], answer);
      await call('build', () => index.build(first, ids as never));
      const before = index.size;
      const added = await call('add', () => index.add(second));
      expect(index.size).toBe(before + (added?.value.length ?? 0));
      await call('remove', () => index.remove(removed));
      const found = await call('query', () => index.query(asked, query as object));
      for (const distance of found?.value.distances.filter(Number.isFinite) ?? []) {
        expect(distance).toBeGreaterThanOrEqual(0);
        expect(distance).toBeLessThanOrEqual(1);
      }
      const pairs = await call('pairs', () => index.pairs());
      if (index.verify && Array.isArray(first) && before === first.length && ids === undefined) {
        pairs?.value.similarities.forEach((similarity, i) => {
          const [a, b] = [pairs.value.first[i] as number, pairs.value.second[i] as number];
          if (a < before && b < before) {
            const plain = (set: Iterable<Token>) =>
              [...set].map((one) => (one instanceof Uint8Array ? `b${one}` : one));
            expect(similarity).toBe(jaccardOf(plain(first[a] as Token[]), plain(first[b] as Token[])));
          }
        });
      }
      const saved = await call('save', () => index.save());
      expect(loadIndex(saved?.value as Uint8Array).save()).toEqual(saved?.value);
      await call('compact', () => index.compact());
      expect(index.save()).toEqual(saved?.value);
      expect(index.stats().rows).toBe(index.size);
      index.dispose();
      return found !== undefined;
    },
    { backend, share: backend === 'cpu' ? 1 : 0.05 },
  );
});

/** Files are in files.test.ts; here what is no file at all. */
fuzz(
  'loadIndex',
  fc.oneof(junk, fc.uint8Array({ maxLength: 300 }), fc.constant(new BruteForceIndex({ D }).save())),
  async (file) => (await outcome(['loadIndex'], () => loadIndex(file as Uint8Array))) !== undefined,
);
