import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type LshAttentionOptions, lshAttentionWithLse, lshBuckets, NOTHING_SEEN } from '../src/index.js';
import { expectAsExactAsFloat32 } from './accuracy.js';
import { type AttendOptions, attend } from './oracle/attend.js';
import { defaultBuckets } from './oracle/defaultBuckets.js';
import { at, type Letters, type Numbers, toFloat32 } from './oracle/shape.js';

/** The backends that every statement about results is tested on. */
export const BACKENDS = ['webgpu', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

/** Runs `during` on a backend, and returns to the one before. */
export async function onBackend<T>(backend: Backend, during: () => Promise<T>): Promise<T> {
  const before = tf.getBackend();
  await tf.setBackend(backend);
  try {
    return await during();
  } finally {
    await tf.setBackend(before);
  }
}

/** Everything a call depends on, as plain arrays. */
export interface Case {
  readonly shape: Letters;
  readonly qk: Float32Array;
  readonly v: Float32Array;
  /** `[B, L]`, 0 = padding. */
  readonly mask?: Int32Array;
  /** `[H or 1, D, R, Σf/2]` */
  readonly rotations?: Float32Array;
  /** `[B, H, R, L]` */
  readonly buckets?: Int32Array;
  readonly options?: Omit<LshAttentionOptions, 'mask' | 'rotations' | 'buckets'>;
}

export interface Results {
  readonly out: Float32Array;
  readonly lse: Float32Array;
  /** `[B, H, R, L]`: what `lshBuckets` returns, with N where the mask is 0. */
  readonly buckets: Int32Array;
}

/** `lshAttentionWithLse` and `lshBuckets` of a case. */
export function call(backend: Backend, test: Case): Promise<Results> {
  return onBackend(backend, async () => {
    const { B, H, L, D, E } = test.shape;
    const tensors: tf.Tensor[] = [];
    const kept = (tensor: tf.Tensor) => {
      tensors.push(tensor);
      return tensor;
    };
    try {
      const qk = kept(tf.tensor(test.qk, [B, H, L, D], 'float32'));
      const v = kept(tf.tensor(test.v, [B, H, L, E], 'float32'));
      const R = test.options?.numHashes ?? 4;
      const options: LshAttentionOptions = {
        ...test.options,
        ...(test.mask && { mask: kept(tf.tensor(test.mask, [B, L], 'int32')) }),
        ...(test.rotations && { rotations: kept(tf.tensor(test.rotations, rotationShape(test, R))) }),
        ...(test.buckets && { buckets: kept(tf.tensor(test.buckets, [B, H, R, L], 'int32')) }),
      };
      const { out, lse } = lshAttentionWithLse(qk, v, options);
      const buckets = lshBuckets(qk, options);
      [out, lse, buckets].forEach(kept);
      return {
        out: (await out.data()) as Float32Array,
        lse: (await lse.data()) as Float32Array,
        buckets: (await buckets.data()) as Int32Array,
      };
    } finally {
      tf.dispose(tensors);
    }
  });
}

function rotationShape(test: Case, R: number): [number, number, number, number] {
  const { D } = test.shape;
  const F = factorsOf(test).reduce((sum, f) => sum + f / 2, 0);
  return [(test.rotations?.length ?? 0) / (D * R * F), D, R, F];
}

/** The factors of N in a case. */
export function factorsOf({ shape, options = {} }: Case): readonly number[] {
  const { numBuckets, chunkLength = 64 } = options;
  // A chunk longer than the row is as long as the row.
  const C = Math.min(chunkLength, Math.max(1, shape.L));
  return typeof numBuckets === 'number' ? [numBuckets] : (numBuckets ?? defaultBuckets(shape.L, C));
}

/** The oracle's options of a case: the defaults of the contract filled in. */
export function lettersOf(test: Case): AttendOptions {
  const { shape, options = {} } = test;
  return {
    N: factorsOf(test).reduce((product, f) => product * f, 1),
    R: options.numHashes ?? 4,
    C: options.chunkLength ?? 64,
    P: options.chunksBefore ?? 1,
    A: options.chunksAfter ?? 0,
    causal: options.causal ?? false,
    duplicates: options.duplicates ?? 'correct',
    wrap: options.roundBoundary === 'wrap',
    acrossBuckets: options.acrossBuckets ?? true,
    scale: options.scale === '1/sqrt(D)' ? 1 / Math.sqrt(shape.D) : (options.scale ?? 1),
  };
}

/** Checks a call's results against the oracle, which is given the buckets that the call used. */
export function expectOracle(test: Case, { out, lse, buckets }: Results): void {
  const { B, H, L, E } = test.shape;
  const options = lettersOf(test);
  const { mask } = test;
  const used = buckets.map((bucket, i) => {
    const b = Math.floor(i / (H * options.R * L));
    return mask !== undefined && at(mask, b * L + (i % L)) === 0 ? options.N : bucket;
  });
  const inputs = { qk: test.qk, v: test.v, buckets: used, ...(test.buckets && { keys: test.buckets }) };
  const exact = attend(inputs, test.shape, options);
  const naive = attend(inputs, test.shape, options, toFloat32);
  const lonely = Array.from(exact.lse, (_, i) => i).filter((i) => exact.lse[i] === NOTHING_SEEN);
  for (const i of lonely) {
    expect(lse[i], `lse of query ${i}, which sees nothing`).toBe(Math.fround(NOTHING_SEEN));
    const own = test.v.subarray(i * E, (i + 1) * E);
    expect(out.subarray(i * E, (i + 1) * E), `out of query ${i}, which sees nothing`).toEqual(own);
  }
  const others = (values: Numbers) =>
    Array.from({ length: B * H * L }, (_, i) => at(values, i)).filter(
      (_, i) => exact.lse[i] !== NOTHING_SEEN,
    );
  expect(out.length).toBe(exact.out.length);
  expect(lse.length).toBe(exact.lse.length);
  expectAsExactAsFloat32(out, exact.out, naive.out, 'out');
  expectAsExactAsFloat32(others(lse), others(exact.lse), others(naive.lse), 'lse');
}

/** Calls and checks on one backend. */
export async function check(backend: Backend, test: Case): Promise<Results> {
  const results = await call(backend, test);
  expectOracle(test, results);
  return results;
}
