import { readFileSync } from 'node:fs';
import { safetensors } from '@jax-js/loaders';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type LshAttentionOptions, lshAttention, lshBuckets, presets } from '../../src/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { at } from '../oracle/shape.js';
import { admitted } from '../oracle/windows.js';

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

const data = (path: string) => new URL(`./data/${path}`, import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(data(path), 'utf8'));

const CASES: { path: string; entry: Entry; semantics: LshAttentionOptions }[] = [
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

type Arrays = Readonly<Record<string, { shape: number[]; data: ArrayLike<number> }>>;

function load(path: string): Arrays {
  const { tensors } = safetensors.parse(new Uint8Array(readFileSync(data(path))));
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      { shape: tensor.shape, data: Array.from(tensor.data as ArrayLike<number | bigint>, Number) },
    ]),
  );
}

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(CASES)('$entry.name', async ({ path, entry, semantics }) => {
    const arrays = load(path);
    const values = (name: string) => (arrays[name] as Arrays[string]).data;
    const { batch: B, heads: H, length: L, depth: D, numHashes: R } = entry;
    const factors = [entry.numBuckets].flat();
    const N = factors.reduce((product, f) => product * f, 1);
    // lucidrains leaves padding in the buckets that its vectors hash to, where it takes up places of the
    // windows; ours has a bucket of its own, unless the buckets are given.
    const sortsPaddingAmongTokens = entry.padded && path.startsWith('lucidrains');
    const mask = entry.padded ? values('mask') : undefined;
    const isReal = (b: number, i: number) => mask === undefined || at(mask, b * L + i) !== 0;

    await onBackend(backend, async () => {
      const tensor = (name: string) => tf.tensor(values(name) as number[], arrays[name]?.shape, 'float32');
      const options: LshAttentionOptions = {
        ...semantics,
        numHashes: R,
        numBuckets: entry.numBuckets,
        chunkLength: entry.chunkLength,
        causal: entry.causal,
        ...(entry.chunksBefore !== undefined && { chunksBefore: entry.chunksBefore }),
        ...(entry.chunksAfter !== undefined && { chunksAfter: entry.chunksAfter }),
        rotations: tensor('rotations'),
        ...(mask && { mask: tf.tensor(mask as number[], [B, L], 'int32') }),
      };
      const qk = tensor('qk');
      const buckets = await lshBuckets(qk, options).data();
      // The files' buckets of round r begin at r times the buckets of a round.
      const perRound = mask !== undefined && !sortsPaddingAmongTokens ? N + 1 : N;
      const expected = Array.from(
        values('buckets'),
        (bucket, i) => bucket - (Math.floor(i / L) % R) * perRound,
      );
      const given = tf.tensor(expected, [B, H, R, L], 'int32');
      if (sortsPaddingAmongTokens) {
        const real = (_: number, i: number) => isReal(Math.floor(i / (H * R * L)), i % L);
        expect(Array.from(buckets).filter(real)).toEqual(expected.filter(real));
      } else {
        expect(Array.from(buckets)).toEqual(expected);
      }
      const { rotations: _, ...others } = options;
      const calls = sortsPaddingAmongTokens ? { ...others, buckets: given } : options;
      const out = await lshAttention(qk, tensor('v'), calls).data();

      const letters = {
        ...{ R, N, C: entry.chunkLength, causal: entry.causal, wrap: semantics.roundBoundary === 'wrap' },
        ...{ P: entry.chunksBefore ?? 1, A: entry.chunksAfter ?? 0 },
        acrossBuckets: semantics.acrossBuckets ?? true,
      };
      const wrong: string[] = [];
      let lonely = 0;
      for (let row = 0; row < B * H; row++) {
        const keys = expected.slice(row * R * L, (row + 1) * R * L);
        const excluding = keys.map((key, i) => (isReal(Math.floor(row / H), i % L) ? key : N));
        const windows = admitted(excluding, L, letters, keys);
        for (let i = 0; i < L; i++) {
          if (!isReal(Math.floor(row / H), i)) {
            continue;
          }
          const sees = windows.some((round) => (round[i] as number[]).length > 0);
          lonely += Number(!sees);
          for (let d = 0; d < D; d++) {
            const index = (row * L + i) * D + d;
            const reference = at(values(sees ? 'out' : 'v'), index);
            const most = sees ? 2e-5 + 2e-4 * Math.abs(reference) : 0;
            if (!(Math.abs(at(out, index) - reference) <= most)) {
              wrong.push(`row ${row}, token ${i}, column ${d}: ${out[index]} for ${reference}`);
            }
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(lonely).toBeLessThan((B * H * L) / 4);
    });
  });
});
