import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { LshCache, type LshCacheOptions, lshBuckets, NOTHING_SEEN } from '../src/index.js';
import { expectAsExactAsFloat32 } from './accuracy.js';
import { attend } from './oracle/attend.js';
import { at, type Letters, type Numbers, toFloat32 } from './oracle/shape.js';

/** Tokens to decode, `L` of them, as plain arrays. */
export interface Sequence {
  readonly shape: Letters;
  readonly qk: Float32Array;
  readonly v: Float32Array;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Int32Array;
  readonly options: LshCacheOptions & { readonly numBuckets: number };
}

export interface Decoded {
  /** `[B, H, L, E]` */
  readonly out: Float32Array;
  /** `[B, H, L]` */
  readonly lse: Float32Array;
}

/** Tokens `first` … of every row of `values [rows, L, width]`. */
export function tokensOf(
  values: Float32Array,
  rows: number,
  L: number,
  first: number,
  count: number,
): Float32Array {
  const width = values.length / (rows * L);
  const tokens = new Float32Array(rows * count * width);
  for (let row = 0; row < rows; row++) {
    const start = (row * L + first) * width;
    tokens.set(values.subarray(start, start + count * width), row * count * width);
  }
  return tokens;
}

/** Appends tokens `first` … of a sequence, and gives `[out, lse]`. The mask goes along where it hides one of them. */
export function appendTokens(
  cache: LshCache,
  { shape: { B, H, L, D, E }, qk, v, mask }: Sequence,
  first: number,
  count: number,
): [tf.Tensor, tf.Tensor] {
  return tf.tidy(() => {
    const hidden = Array.from({ length: B * count }, (_, i) =>
      mask === undefined ? 1 : at(mask, Math.floor(i / count) * L + first + (i % count)),
    );
    const { out, lse } = cache.appendWithLse(
      tf.tensor(tokensOf(qk, B * H, L, first, count), [B, H, count, D]),
      tf.tensor(tokensOf(v, B * H, L, first, count), [B, H, count, E]),
      hidden.includes(0) ? { mask: tf.tensor(hidden, [B, count], 'int32') } : {},
    );
    expect(out.shape).toEqual([B, H, count, E]);
    expect(lse.shape).toEqual([B, H, count]);
    return [out, lse] as [tf.Tensor, tf.Tensor];
  });
}

/** A sequence through a new cache, in pieces of these sizes. */
export async function decode(sequence: Sequence, sizes: readonly number[]): Promise<Decoded> {
  const cache = new LshCache(sequence.options);
  const parts: [tf.Tensor, tf.Tensor][] = [];
  for (const size of sizes) {
    parts.push(appendTokens(cache, sequence, cache.length, size));
  }
  expect(cache.length).toBe(sequence.shape.L);
  cache.dispose();
  return await joined(parts);
}

/** The results of all pieces; their tensors are disposed. */
export async function joined(parts: readonly [tf.Tensor, tf.Tensor][]): Promise<Decoded> {
  const whole = tf.tidy(() => [
    tf.concat(
      parts.map(([out]) => out),
      2,
    ),
    tf.concat(
      parts.map(([, lse]) => lse),
      2,
    ),
  ]);
  const [out, lse] = await Promise.all(whole.map((tensor) => tensor.data()));
  tf.dispose([whole, parts.flat()]);
  return { out, lse } as Decoded;
}

/** The sizes of a prefix and of steps after it. */
export function pieces(L: number, prefix: number, step: number): number[] {
  const steps = Array.from({ length: Math.ceil((L - prefix) / step) }, (_, i) =>
    Math.min(step, L - prefix - i * step),
  );
  return [prefix, ...steps];
}

/** Every bucket id of a sequence, `[B, H, R, L]`, as the op hashes it. */
export async function bucketsOf({ shape, qk, mask, options }: Sequence): Promise<Int32Array> {
  const { B, H, L, D } = shape;
  const tensor = tf.tidy(() => {
    const { maxLength: _, ...shared } = options;
    const padding = mask && { mask: tf.tensor(mask, [B, L], 'int32') };
    return lshBuckets(tf.tensor(qk, [B, H, L, D]), { ...shared, ...padding });
  });
  const buckets = (await tensor.data()) as Int32Array;
  tensor.dispose();
  return buckets;
}

/** Checks every position against the bucket window in float64; a query that sees nothing, exactly. */
export async function expectOracle(sequence: Sequence, { out, lse }: Decoded): Promise<void> {
  const { shape, qk, v, options } = sequence;
  const { numHashes: R = 4, numBuckets: N, duplicates = 'correct', scale = 1 } = options;
  const inputs = { qk, v, buckets: await bucketsOf(sequence) };
  const window = { R, N, C: 1, window: 'bucket', causal: true } as const;
  const rule = { ...window, duplicates, scale: scale === '1/sqrt(D)' ? 1 / Math.sqrt(shape.D) : scale };
  const exact = attend(inputs, shape, rule);
  const naive = attend(inputs, shape, rule, toFloat32);
  const seen = Array.from(exact.lse.keys()).filter((i) => exact.lse[i] !== NOTHING_SEEN);
  for (const i of exact.lse.keys()) {
    if (exact.lse[i] === NOTHING_SEEN) {
      expect(lse[i]).toBe(Math.fround(NOTHING_SEEN));
      const own = [i * shape.E, (i + 1) * shape.E] as const;
      expect(out.subarray(...own)).toEqual(v.subarray(...own));
    }
  }
  const of = (values: Numbers) => seen.map((i) => at(values, i));
  expectAsExactAsFloat32(out, exact.out, naive.out, 'out');
  expectAsExactAsFloat32(of(lse), of(exact.lse), of(naive.lse), 'lse');
}

/** Decodes and checks. */
export async function checkDecoding(sequence: Sequence, sizes: readonly number[]): Promise<Decoded> {
  const decoded = await decode(sequence, sizes);
  await expectOracle(sequence, decoded);
  return decoded;
}
