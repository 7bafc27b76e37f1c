/** Random lives of a cache: at every step what the op gives for the tokens so far, or a refusal that changes nothing. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { LshCache, lshAttentionWithLse } from '../../src/index.js';
import { largestError } from '../accuracy.js';
import { BACKENDS } from '../call.js';
import { normals } from '../inputs.js';
import { expectFinite, fuzz, outcome, valuesOf } from './fuzz.js';
import { junk, mostly, optionsOf, rarely, Wanted, withReal } from './junk.js';

const [H, D, E] = [2, 3, 5];

/** The tokens of a batch entry, `[H, D]` and `[H, E]` each. */
type History = { readonly qk: Float32Array; readonly v: Float32Array; real: number }[];

/** What cannot be taken for tokens. */
const notFloats = junk.filter((value) => !(value instanceof Wanted && value.dtype === 'float32'));

const steps = fc.array(
  fc.record({
    method: fc.constantFrom('append', 'append', 'append', 'appendWithLse', 'reorder', 'reset'),
    key: fc.nat(),
    T: fc.integer({ min: 0, max: 4 }),
    masked: fc.boolean(),
    spoilt: rarely(fc.tuple(fc.constantFrom('qk', 'v', 'options', 'indices'), notFloats)),
    indices: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 6 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

describe.each(BACKENDS)('on %s', (backend) => {
  fuzz(
    'LshCache',
    fc.tuple(
      optionsOf({
        numBuckets: mostly(fc.constantFrom(2, 4, 6), 20),
        numHashes: fc.integer({ min: 1, max: 3 }),
        duplicates: fc.constantFrom('correct', 'count'),
        scale: fc.constantFrom(0.5, 1, '1/sqrt(D)'),
        rotation: fc.constantFrom('gaussian', 'hadamard'),
        chunkLength: fc.integer({ min: 1, max: 9 }),
        maxLength: fc.constantFrom(3, 20, 1000),
        seed: fc.constantFrom(0, 9),
      }),
      steps,
    ),
    async ([options, life]) => {
      const made = await outcome(['LshCache'], () => new LshCache(options as never));
      if (made === undefined) {
        return false;
      }
      const cache = made.value;
      let texts: History[] = [[], []];
      let answers = 0;
      for (const step of life) {
        const before = texts;
        texts = await take(cache, texts, step, options);
        answers += Number(texts !== before);
        expect(cache.length).toBe(texts[0]?.length);
      }
      cache.dispose();
      const dead = await outcome(['LshCache.reset'], () => cache.reset());
      expect(dead).toBeUndefined();
      return answers > 0;
    },
    { backend, share: backend === 'cpu' ? 1 : 0.05 },
  );
});

/** One call of a cache; the texts after it. */
async function take(cache: LshCache, texts: History[], step: Step, options: object): Promise<History[]> {
  const { method, key, T, spoilt } = step;
  const [part, strange] = spoilt ?? [];
  const B = texts.length;
  if (method === 'reset') {
    await outcome(['LshCache.reset'], () => cache.reset());
    return [[], []];
  }
  if (method === 'reorder') {
    const indices = part === 'indices' ? strange : step.indices;
    const kept = await withReal([indices], ([given]) =>
      outcome(['LshCache.reorder'], () => cache.reorder(given as number[])),
    );
    return kept === undefined ? texts : listed(indices).map((b) => texts[b] as History);
  }
  const added = Array.from({ length: B }, (_, b) =>
    Array.from({ length: T }, (_, t) => ({
      qk: normals(H * D, key + 7 * b + 31 * t),
      v: normals(H * E, key + 11 * b + 37 * t + 1),
      real: step.masked ? (key + b + t) % 2 : 1,
    })),
  );
  const call = (given: Record<'qk' | 'v' | 'options', unknown>) =>
    outcome(['LshCache.append'], () =>
      method === 'append'
        ? { out: cache.append(given.qk as tf.Tensor, given.v as tf.Tensor, given.options as object) }
        : cache.appendWithLse(given.qk as tf.Tensor, given.v as tf.Tensor, given.options as object),
    );
  const mask = new Wanted(
    [B, T],
    'int32',
    added.flatMap((text) => text.map(({ real }) => real)),
  );
  const given = {
    qk: wanted(added, 'qk', D),
    v: wanted(added, 'v', E),
    options: step.masked ? { mask } : {},
  };
  const answer = await withReal({ ...given, ...(part && { [part]: strange }) }, call);
  if (answer === undefined) {
    return texts;
  }
  if (part === 'options') {
    // Whatever was taken for options had no mask.
    for (const token of added.flat()) {
      token.real = 1;
    }
  }
  const whole = texts.map((text, b) => [...text, ...(added[b] as History)]);
  const [found] = await valuesOf([answer.value.out, ...('lse' in answer.value ? [answer.value.lse] : [])]);
  if (part === undefined || part === 'indices') {
    await expectWhole(found as Float32Array, whole, T, options);
  }
  return whole;
}

/** What the op gives at the last T tokens of the whole texts. */
async function expectWhole(found: Float32Array, texts: History[], T: number, options: object): Promise<void> {
  expectFinite(found, 'out');
  const { maxLength, ...shared } = options as { maxLength?: number; numBuckets?: number };
  const numBuckets = shared.numBuckets ?? new LshCache(options as never).numBuckets;
  const B = texts.length;
  const L = texts[0]?.length ?? 0;
  const real = texts.flatMap((text) => text.map((token) => token.real));
  const exact = await withReal(
    [wanted(texts, 'qk', D), wanted(texts, 'v', E), new Wanted([B, L], 'int32', real)],
    async ([qk, v, mask]) => {
      const { out, lse } = lshAttentionWithLse(qk as unknown as tf.Tensor, v as unknown as tf.Tensor, {
        ...shared,
        ...{ numBuckets, window: 'bucket', causal: true, mask: mask as unknown as tf.Tensor },
      });
      const last = tf.tidy(() => tf.slice(out, [0, 0, L - T, 0], [B, H, T, E]));
      return (await valuesOf([last, out, lse]))[0] as Float32Array;
    },
  );
  expect(largestError(found, exact)).toBeLessThan(1e-4);
}

/** `[B, H, L, width]` of texts. */
function wanted(texts: readonly History[], part: 'qk' | 'v', width: number): Wanted {
  const L = texts[0]?.length ?? 0;
  const rows = texts.flatMap((text) =>
    Array.from({ length: H }, (_, h) =>
      text.flatMap((token) => [...token[part].subarray(h * width, (h + 1) * width)]),
    ),
  );
  return new Wanted([texts.length, H, L, width], 'float32', rows.flat());
}

function listed(indices: unknown): number[] {
  return indices instanceof Wanted ? Array.from(indices.values) : (indices as number[]);
}
