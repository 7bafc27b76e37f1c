/** Random calls of the attentions: the oracle's result, or a documented error. */
import type * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  type AttentionWithLse,
  denseAttention,
  denseAttentionWithLse,
  localAttention,
  lshAttention,
  lshAttentionWithLse,
  lshBuckets,
  NOTHING_SEEN,
  plan,
  predictCost,
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
} from '../../src/index.js';
import { hyperplanes } from '../../src/search/index.js';
import { expectAsExactAsFloat32, largestOf } from '../accuracy.js';
import { BACKENDS, type Backend, expectOracle } from '../call.js';
import { integers } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { dotProduct } from '../oracle/dotProduct.js';
import { keptFactor } from '../oracle/dropout.js';
import { local } from '../oracle/local.js';
import { at, type Letters, type Numbers, toFloat32 } from '../oracle/shape.js';
import { expectFinite, fuzz, outcome, valuesOf } from './fuzz.js';
import { floats, junk, mostly, optionsOf, rarely, Wanted, withReal } from './junk.js';

/** On WebGPU depths stay the same: pipelines take far longer to compile than to run. */
function shapesOn(backend: Backend): fc.Arbitrary<Letters & { readonly rank: number; readonly Lk: number }> {
  const depths =
    backend === 'webgpu'
      ? fc.constantFrom([3, 5] as const, [8, 4] as const)
      : fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }));
  const few = fc.constantFrom(1, 1, 2, 2, 3, 0);
  const length = fc.integer({ min: 0, max: 14 });
  return fc
    .record({ B: few, H: few, L: length, Lk: length, depths, rank: fc.constantFrom(4, 4, 3, 2) })
    .map(({ B, H, depths: [D, E], rank, ...lengths }) => ({
      ...lengths,
      ...{ D, E, rank, B: rank < 4 ? 1 : B, H: rank < 3 ? 1 : H },
    }));
}

/** Numbers are large in some cases, where float32 is still far from its end. */
const sizes = fc.constantFrom(1, 1, 1, 1, 0, 1e-25, 1e12);

interface Inputs {
  readonly shape: Letters & { readonly rank: number; readonly Lk: number };
  readonly seed: number;
  readonly size: number;
}
const inputsOn = (backend: Backend): fc.Arbitrary<Inputs> =>
  fc.record({ shape: shapesOn(backend), seed: fc.nat(2 ** 31), size: sizes });

const rows = ({ B, H, rank }: Inputs['shape'], L: number, depth: number) => [B, H, L, depth].slice(4 - rank);
const maskOf = (shape: readonly number[], seed: number) => {
  const count = shape.reduce((product, n) => product * n, 1);
  return new Wanted(shape, seed % 2 === 0 ? 'int32' : 'bool', integers(count, 2, seed));
};
const flag = fc.boolean();
const seeds = fc.constantFrom(0, 1, 2 ** 32 - 1);
const scale = fc.constantFrom(0.5, 1, 3, '1/sqrt(D)' as const);
const dropout = fc.constantFrom(0, 0, 0.3);

/** What every exact or local attention can be told; a mask is made when the shape is known. */
const common = { causal: flag, scale, dropout, seed: seeds, mask: fc.constant('fits') };

/** Puts a mask that fits in place of the word. */
function filled(options: unknown, mask: Wanted): Record<string, unknown> {
  const isFitting = (options as { mask?: unknown } | null)?.mask === 'fits';
  return isFitting ? { ...(options as object), mask } : (options as Record<string, unknown>);
}

/** The options as numbers, for oracles: those that are null are not given. */
function numbersOf(options: Record<string, unknown>, D: number, usual: number | '1/sqrt(D)') {
  const scale = options.scale ?? usual;
  return {
    causal: (options.causal ?? false) as boolean,
    scale: scale === '1/sqrt(D)' ? 1 / Math.sqrt(D) : (scale as number),
    dropout: (options.dropout ?? 0) as number,
    seed: (options.seed ?? 0) as number,
  };
}

/** Compares sums of values with an oracle in float64, as far as float32 could be right at all. */
function compare(
  out: Float32Array,
  oracle: (round?: typeof toFloat32) => Numbers,
  size: number,
  v: Wanted,
): void {
  expectFinite(out, 'out');
  if (size <= 1) {
    expectAsExactAsFloat32(out, oracle(), oracle(toFloat32), 'out', 2, largestOf(v.values));
  }
}

/** What an attention gives with its log-sum-exps and without them, which is the same; undefined where it refuses. */
async function agreed(name: string, withLse: () => AttentionWithLse, alone: () => tf.Tensor) {
  const both = await outcome([`${name}WithLse`], withLse);
  const plain = await outcome([name], alone);
  expect(both === undefined).toBe(plain === undefined);
  if (both === undefined || plain === undefined) {
    return undefined;
  }
  const { shape } = both.value.out;
  expect(both.value.lse.shape).toEqual(shape.slice(0, -1));
  const [out, lse, again] = (await valuesOf([both.value.out, both.value.lse, plain.value])) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  expect(again).toEqual(out);
  return { out, lse, shape };
}

const numBuckets = fc.oneof(
  fc.constantFrom(2, 4, 6, 10),
  fc.array(fc.constantFrom(2, 4), { minLength: 1, maxLength: 3 }),
);
const lshOptions = optionsOf({
  ...common,
  numBuckets,
  numHashes: fc.integer({ min: 1, max: 4 }),
  chunkLength: fc.integer({ min: 1, max: 9 }),
  chunksBefore: fc.integer({ min: 0, max: 3 }),
  chunksAfter: fc.integer({ min: 0, max: 3 }),
  window: fc.constantFrom('chunk', 'chunk', 'bucket'),
  duplicates: fc.constantFrom('correct', 'count'),
  roundBoundary: fc.constantFrom('stop', 'stop', 'stop', 'wrap'),
  acrossBuckets: flag,
  rotation: fc.constantFrom('gaussian', 'hadamard'),
  storage: fc.constantFrom('float32', 'float16'),
});
/** Tensors and families in place of the hash, fitting or not. */
const extras = fc.constantFrom('none', 'none', 'none', 'buckets', 'rotations', 'hash', 'wrong buckets');

function withExtra(given: unknown, extra: string, { shape, seed }: Inputs): Record<string, unknown> {
  const { B, H, L, D } = shape;
  const options = filled(given, maskOf([B, L], seed));
  if (extra === 'none' || typeof options !== 'object' || options === null) {
    return options;
  }
  if (extra === 'hash') {
    const { numHashes: _r, numBuckets: _n, rotation: _t, ...others } = options;
    return { ...others, hash: hyperplanes({ D, bits: 1 + (seed % 3), tables: 2, seed: seed % 7 }) };
  }
  const rounds = options.numHashes as number;
  const R = Number.isInteger(rounds) && rounds >= 0 && rounds < 9 ? rounds : 4;
  if (extra === 'rotations') {
    const { rotation: _t, ...others } = options;
    return { ...others, numBuckets: 6, rotations: floats([seed % 2 === 0 ? 1 : H, D, R, 3], seed) };
  }
  const most = extra === 'buckets' ? 6 : 9;
  return {
    ...options,
    numBuckets: 6,
    buckets: new Wanted([B, H, R, L], 'int32', integers(B * H * R * L, most, seed)),
  };
}

describe.each(BACKENDS)('on %s', (backend) => {
  const options = { backend, share: backend === 'cpu' ? 1 : 0.1 };
  const cases = fc.record({ inputs: inputsOn(backend), options: lshOptions, extra: extras });

  fuzz(
    'lshAttention, lshAttentionWithLse, lshBuckets',
    fc.tuple(cases, mostly(fc.constant('fits'), 40), mostly(fc.constant('fits'), 40)).map(([one, qk, v]) => {
      const { shape, seed, size } = one.inputs;
      return {
        ...one,
        options: withExtra(one.options, one.extra, one.inputs),
        qk: qk === 'fits' ? floats(rows(shape, shape.L, shape.D), seed, size) : qk,
        v: v === 'fits' ? floats(rows(shape, shape.L, shape.E), seed + 1, size) : v,
      };
    }),
    (one) =>
      withReal(one, async ({ qk, v, options: given, inputs }) => {
        const [x, y, o] = [qk, v, given] as unknown as [tf.Tensor, tf.Tensor, object];
        const found = await agreed(
          'lshAttention',
          () => lshAttentionWithLse(x, y, o),
          () => lshAttention(x, y, o),
        );
        const hashed = await outcome(['lshBuckets'], () => lshBuckets(x, o));
        if (found === undefined || hashed === undefined) {
          hashed?.value.dispose();
          return false;
        }
        expect(found.shape).toEqual(y.shape);
        expectFinite(found.out, 'out');
        expectFinite(found.lse, 'lse');
        const [buckets] = (await valuesOf([hashed.value])) as unknown as [Int32Array];
        if (inputs.size <= 1) {
          await expectLsh({ inputs, options: given as Record<string, unknown>, extra: one.extra }, x, y, {
            ...found,
            buckets,
          });
        }
        return true;
      }),
    options,
  );

  fuzz(
    'denseAttention, denseAttentionWithLse',
    fc.record({
      inputs: inputsOn(backend),
      options: optionsOf(common),
      spoilt: rarely(junk),
    }),
    ({ inputs, options: given, spoilt }) => {
      const { shape, seed, size } = inputs;
      const { B, H, L, D, E } = shape;
      const [qk, v] = [floats(rows(shape, L, D), seed, size), floats(rows(shape, L, E), seed + 1, size)];
      const mask = maskOf([B, L], seed);
      return withReal([qk, spoilt === undefined ? v : spoilt, filled(given, mask)], async (real) => {
        const [x, y, o] = real as [tf.Tensor, tf.Tensor, Record<string, unknown>];
        const found = await agreed(
          'denseAttention',
          () => denseAttentionWithLse(x, y, o),
          () => denseAttention(x, y, o),
        );
        if (found === undefined) {
          return false;
        }
        if (spoilt === undefined) {
          // One round in which all share a bucket that a chunk holds.
          const isReal = (b: number, l: number) => o.mask === undefined || at(mask.values, b * L + l) !== 0;
          const buckets = Array.from({ length: B * H * L }, (_, i) =>
            isReal(Math.floor(i / (H * L)), i % L) ? 0 : 2,
          );
          const rule = { R: 1, N: 2, C: Math.max(1, L), P: 0, A: 0, ...numbersOf(o, D, 1) };
          const exact = (round?: typeof toFloat32) =>
            attend({ qk: qk.values, v: v.values, buckets }, shape, rule, round).out;
          compare(found.out, exact, size, v);
          expectFinite(found.lse, 'lse');
        }
        return true;
      });
    },
    options,
  );

  fuzz(
    'scaledDotProductAttention, scaledDotProductAttentionWithLse',
    fc.record({
      inputs: inputsOn(backend),
      options: optionsOf(common),
      pairs: fc.boolean(),
      spoilt: rarely(junk),
    }),
    ({ inputs, options: given, pairs, spoilt }) => {
      const { shape, seed, size } = inputs;
      const { B, H, L, Lk, D, E } = shape;
      const q = floats(rows(shape, L, D), seed, size);
      const k = floats(rows(shape, Lk, D), seed + 1, size);
      const v = floats(rows(shape, Lk, E), seed + 2, size);
      const mask = maskOf(pairs ? [B, 1, L, Lk] : [B, Lk], seed);
      return withReal([q, spoilt === undefined ? k : spoilt, v, filled(given, mask)], async (real) => {
        const [a, b, c, o] = real as [tf.Tensor, tf.Tensor, tf.Tensor, Record<string, unknown>];
        const found = await agreed(
          'scaledDotProductAttention',
          () => scaledDotProductAttentionWithLse(a, b, c, o),
          () => scaledDotProductAttention(a, b, c, o),
        );
        if (found === undefined) {
          return false;
        }
        if (spoilt === undefined) {
          const seen = (row: number, i: number, j: number) => {
            const batch = Math.floor(row / H);
            return at(mask.values, pairs ? (batch * L + i) * Lk + j : batch * Lk + j) !== 0;
          };
          const rule = { ...numbersOf(o, D, '1/sqrt(D)'), ...(o.mask ? { mask: seen } : {}) };
          const exact = (round?: typeof toFloat32) =>
            dotProduct(q.values, k.values, v.values, { ...shape, E }, rule, round).out;
          compare(found.out, exact, size, v);
          expectFinite(found.lse, 'lse');
        }
        return true;
      });
    },
    options,
  );

  fuzz(
    'localAttention',
    fc.record({
      inputs: inputsOn(backend),
      options: optionsOf({
        ...common,
        chunkLength: fc.integer({ min: 1, max: 9 }),
        chunksBefore: fc.integer({ min: 0, max: 3 }),
        chunksAfter: fc.integer({ min: 0, max: 3 }),
        boundary: fc.constantFrom('stop', 'stop', 'wrap'),
      }),
      spoilt: rarely(junk),
    }),
    ({ inputs, options: given, spoilt }) => {
      const { shape, seed, size } = inputs;
      const { B, L, D, E } = shape;
      const [q, k] = [floats(rows(shape, L, D), seed, size), floats(rows(shape, L, D), seed + 1, size)];
      const v = floats(rows(shape, L, E), seed + 2, size);
      const mask = maskOf([B, L], seed);
      return withReal([q, k, spoilt === undefined ? v : spoilt, filled(given, mask)], async (real) => {
        const [a, b, c, o] = real as [tf.Tensor, tf.Tensor, tf.Tensor, Record<string, unknown>];
        const answer = await outcome(['localAttention'], () => localAttention(a, b, c, o));
        if (answer === undefined) {
          return false;
        }
        expect(answer.value.shape).toEqual(c.shape);
        const [out] = (await valuesOf([answer.value])) as [Float32Array];
        if (spoilt === undefined) {
          const { dropout: p, seed: key, ...rule } = numbersOf(o, D, '1/sqrt(D)');
          const letters = {
            ...{ C: (o.chunkLength ?? 64) as number, P: (o.chunksBefore ?? 1) as number },
            ...{ A: (o.chunksAfter ?? 0) as number, wrap: o.boundary === 'wrap' },
          };
          const chunks = Math.max(1, Math.ceil(L / letters.C));
          const near = { ...letters, P: Math.min(letters.P, chunks), A: Math.min(letters.A, chunks) };
          const kept = (b: number, h: number, i: number, j: number) =>
            p === 0 ? 1 : keptFactor(p, key, { b, h, r: 0, i, j });
          const hidden = o.mask ? { mask: mask.values } : {};
          const exact = (round?: typeof toFloat32) =>
            local(q.values, k.values, v.values, shape, { ...near, ...rule, ...hidden, kept }, round);
          compare(out, exact, size, v);
        }
        return true;
      });
    },
    options,
  );
});

/** The oracle on a case of the op; a family of hash functions is so many rounds of so many buckets. */
async function expectLsh(
  { inputs, options, extra }: { inputs: Inputs; options: Record<string, unknown>; extra: string },
  qk: tf.Tensor,
  v: tf.Tensor,
  results: Parameters<typeof expectOracle>[1],
): Promise<void> {
  const rounds = options.hash as { tables: number; N: number } | undefined;
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
  const [q, w, mask] = (await Promise.all(
    [qk, v, options.mask as tf.Tensor | undefined].map((tensor) => tensor?.data()),
  )) as [Float32Array, Float32Array, Int32Array | undefined];
  expectOracle(
    {
      shape: inputs.shape,
      ...{ qk: q, v: w },
      ...(mask && { mask: Int32Array.from(mask) }),
      ...(extra.includes('buckets') && { buckets: results.buckets }),
      options: { ...given, ...(rounds && { numHashes: rounds.tables, numBuckets: rounds.N }) },
    },
    results,
  );
  expect(results.lse.every((value) => value === Math.fround(NOTHING_SEEN) || value > -1e30)).toBe(true);
}

const letters = mostly(
  optionsOf(
    {
      B: fc.integer({ min: 0, max: 4 }),
      H: fc.integer({ min: 0, max: 16 }),
      L: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.constantFrom(2 ** 20, 2 ** 24)),
      D: fc.integer({ min: 1, max: 256 }),
      E: fc.integer({ min: 1, max: 256 }),
    },
    ['L', 'D'],
  ),
);
const traits = optionsOf({
  maxStorageBufferBindingSize: fc.constantFrom(2 ** 20, 2 ** 27, 2 ** 31),
  maxBufferSize: fc.constantFrom(2 ** 28, 2 ** 32),
  maxComputeWorkgroupsPerDimension: fc.constantFrom(100, 65535),
  subgroupSize: fc.constantFrom(0, 4, 8, 32),
  f16: flag,
  software: flag,
});

fuzz('plan', fc.record({ shape: letters, options: lshOptions, device: traits }), async (one) =>
  withReal(one, async ({ shape, options, device }) => {
    const { mask: _m, ...others } = (options ?? {}) as Record<string, unknown>;
    const answer = await outcome(['plan'], () => plan(shape as never, others, device as object));
    if (answer !== undefined) {
      const { bytes, operations, dispatches } = answer.value;
      expectFinite(
        [...Object.values(bytes), ...Object.values(operations), dispatches],
        'numbers of the plan',
      );
      expect(String(answer.value)).not.toMatch(/undefined|NaN/);
    }
    return answer !== undefined;
  }),
);

fuzz(
  'predictCost',
  fc.record({
    shape: letters,
    options: lshOptions,
    backend: mostly(fc.constantFrom('cpu', 'webgpu', undefined)),
  }),
  async (one) =>
    withReal(one, async ({ shape, options, backend }) => {
      const { mask: _m, ...others } = (options ?? {}) as Record<string, unknown>;
      const answer = await outcome(['predictCost'], () => predictCost(shape as never, others, backend));
      if (answer !== undefined) {
        const { lsh, dense, cheaper } = answer.value;
        expectFinite([lsh, dense], 'costs');
        expect(cheaper).toBe(lsh < dense ? 'lsh' : 'dense');
      }
      return answer !== undefined;
    }),
);
