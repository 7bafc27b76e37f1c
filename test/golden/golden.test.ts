import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type LshAttentionOptions, lshAttention, lshBuckets, presets } from '../../src/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { gradient } from '../oracle/gradient.js';
import { at } from '../oracle/shape.js';
import { admitted } from '../oracle/windows.js';
import { type Arrays, json, load } from './load.js';

/** A case of index.json. */
interface Entry {
  readonly name: string;
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly depth: number;
  readonly chunkLength: number;
  readonly numHashes: number;
  readonly numBuckets: number | number[];
  readonly causal: boolean;
  readonly chunksBefore?: number;
  readonly chunksAfter?: number;
  readonly padded: boolean;
  readonly acrossBuckets?: boolean;
  readonly duplicatesCounted?: boolean;
}

interface Golden {
  readonly path: string;
  readonly entry: Entry;
  readonly semantics: LshAttentionOptions;
}

const CASES: Golden[] = [
  ...(json('huggingface/index.json').attention as Entry[]).map((entry) => ({
    path: `huggingface/${entry.name}.safetensors`,
    entry,
    semantics: presets.reformer,
  })),
  ...(json('lucidrains/index.json') as Entry[]).map((entry) => ({
    path: `lucidrains/${entry.name}.safetensors`,
    entry,
    // Where other buckets are excluded, a chunk over the boundary shares none: 'stop' is the same.
    semantics: {
      scale: '1/sqrt(D)' as const,
      acrossBuckets: entry.acrossBuckets ?? true,
      duplicates: entry.duplicatesCounted ? ('count' as const) : ('correct' as const),
      roundBoundary: entry.acrossBuckets ? ('wrap' as const) : ('stop' as const),
    },
  })),
];

/** A case's arrays and what they mean. */
function open({ path, entry, semantics }: Golden) {
  const arrays = load(path);
  const values = (name: string) => (arrays[name] as Arrays[string]).data;
  const { batch: B, heads: H, length: L, depth: D, numHashes: R } = entry;
  const N = [entry.numBuckets].flat().reduce((product, f) => product * f, 1);
  // lucidrains leaves padding in the buckets that its vectors hash to, where it takes up places of the
  // windows; ours has a bucket of its own, unless the buckets are given.
  const sortsPaddingAmongTokens = entry.padded && path.startsWith('lucidrains');
  const mask = entry.padded ? values('mask') : undefined;
  /** Of a token counted through batch rows and heads. */
  const isReal = (token: number) =>
    mask === undefined || at(mask, Math.floor(token / (H * L)) * L + (token % L)) !== 0;
  // The files' buckets of round r begin at r times the buckets of a round.
  const perRound = mask !== undefined && !sortsPaddingAmongTokens ? N + 1 : N;
  const buckets = Array.from(values('buckets'), (bucket, i) => bucket - (Math.floor(i / L) % R) * perRound);
  const excluding = buckets.map((bucket, i) => (isReal(Math.floor(i / (R * L)) * L + (i % L)) ? bucket : N));
  const letters = {
    ...{ R, N, C: entry.chunkLength, causal: entry.causal, wrap: semantics.roundBoundary === 'wrap' },
    ...{ P: entry.chunksBefore ?? 1, A: entry.chunksAfter ?? 0 },
    acrossBuckets: semantics.acrossBuckets ?? true,
  };
  const lonely = new Set<number>();
  for (let row = 0; row < B * H; row++) {
    const ofRow = (all: number[]) => all.slice(row * R * L, (row + 1) * R * L);
    const windows = admitted(ofRow(excluding), L, letters, ofRow(buckets));
    for (let i = 0; i < L; i++) {
      if (isReal(row * L + i) && windows.every((round) => (round[i] as number[]).length === 0)) {
        lonely.add(row * L + i);
      }
    }
  }
  const tensor = (name: string) => tf.tensor(values(name) as number[], arrays[name]?.shape, 'float32');
  /** The options of a call; its tensors are made on the current backend. */
  const options = (): LshAttentionOptions => ({
    ...semantics,
    numHashes: R,
    numBuckets: entry.numBuckets,
    chunkLength: entry.chunkLength,
    causal: entry.causal,
    ...(entry.chunksBefore !== undefined && { chunksBefore: entry.chunksBefore }),
    ...(entry.chunksAfter !== undefined && { chunksAfter: entry.chunksAfter }),
    ...(mask && { mask: tf.tensor(mask as number[], [B, L], 'int32') }),
  });
  const given = () => tf.tensor(buckets, [B, H, R, L], 'int32');
  return {
    ...{ shape: { B, H, L, D, E: D }, letters, buckets, excluding, lonely },
    ...{ values, tensor, options, given, isReal, sortsPaddingAmongTokens },
  };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(CASES)('$entry.name', async (golden) => {
    const { shape, buckets, lonely, values, tensor, options, given, isReal, sortsPaddingAmongTokens } =
      open(golden);
    const { B, H, L, D } = shape;
    const R = golden.entry.numHashes;
    await onBackend(backend, async () => {
      const qk = tensor('qk');
      const hashing = { ...options(), rotations: tensor('rotations') };
      const hashed = await lshBuckets(qk, hashing).data();
      if (sortsPaddingAmongTokens) {
        const real = (_: number, i: number) => isReal(Math.floor(i / (R * L)) * L + (i % L));
        expect(Array.from(hashed).filter(real)).toEqual(buckets.filter(real));
      } else {
        expect(Array.from(hashed)).toEqual(buckets);
      }
      const calls = sortsPaddingAmongTokens ? { ...options(), buckets: given() } : hashing;
      const out = await lshAttention(qk, tensor('v'), calls).data();

      const wrong: string[] = [];
      for (let token = 0; token < B * H * L; token++) {
        for (let d = 0; d < D && isReal(token); d++) {
          const index = token * D + d;
          const alone = lonely.has(token);
          const reference = at(values(alone ? 'v' : 'out'), index);
          const most = alone ? 0 : 2e-5 + 2e-4 * Math.abs(reference);
          if (!(Math.abs(at(out, index) - reference) <= most)) {
            wrong.push(`token ${token}, column ${d}: ${out[index]} for ${reference}`);
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(lonely.size).toBeLessThan((B * H * L) / 4);
    });
  });

  test.each(CASES)('gradients of $entry.name', async (golden) => {
    const { shape, letters, buckets, excluding, lonely, ...files } = open(golden);
    const { values, tensor, options, given, isReal } = files;
    const dOut = values('grad_out');
    const expected = { qk: Float64Array.from(values('grad_qk')), v: Float64Array.from(values('grad_v')) };
    if (golden.entry.padded && golden.path.startsWith('huggingface')) {
      // There padding sees tokens, and so hands them a part of its gradients; that part is taken off.
      const ofPadding = Array.from(dOut, (x, i) => (isReal(Math.floor(i / shape.E)) ? 0 : x));
      const inputs = { qk: values('qk'), v: values('v'), buckets: excluding, keys: buckets };
      const lent = gradient(inputs, { dOut: ofPadding }, shape, {
        ...{ ...letters, duplicates: 'count', paddingSees: true },
      });
      expected.qk = expected.qk.map((x, i) => x - at(lent.dqk, i));
      expected.v = expected.v.map((x, i) => x - at(lent.dv, i));
    }
    await onBackend(backend, async () => {
      const [ofQk, ofV] = tf.tidy(() => {
        const weights = tensor('grad_out');
        const calls = { ...options(), buckets: given() };
        return tf.grads((qk: tf.Tensor, v: tf.Tensor) => tf.sum(tf.mul(lshAttention(qk, v, calls), weights)))(
          [tensor('qk'), tensor('v')],
        );
      }) as [tf.Tensor, tf.Tensor];
      const results = { qk: await ofQk.data(), v: await ofV.data() };
      tf.dispose([ofQk, ofV]);
      const wrong: string[] = [];
      for (const name of ['qk', 'v'] as const) {
        for (const [i, reference] of expected[name].entries()) {
          const token = Math.floor(i / shape.D);
          // The references' weights of such a query sum to 1 ± 0.01 only, and it hands them to its own v.
          const own = name === 'v' && lonely.has(token) ? 0.01 * Math.abs(at(dOut, i)) : 0;
          const most = 1e-4 + 1e-3 * Math.abs(reference) + own;
          if (isReal(token) && !(Math.abs(at(results[name], i) - reference) <= most)) {
            wrong.push(`${name}, token ${token}: ${results[name][i]} for ${reference}`);
          }
        }
      }
      expect(wrong.slice(0, 20)).toEqual([]);
    });
  });
});
