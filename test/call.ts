import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type LshAttentionOptions, lshAttentionWithLse, lshBuckets, NOTHING_SEEN } from '../src/index.js';
import { expectAsExactAsFloat32, largestOf } from './accuracy.js';
import { normals } from './inputs.js';
import { type AttendInputs, type AttendOptions, attend } from './oracle/attend.js';
import { defaultBuckets } from './oracle/defaultBuckets.js';
import { gradient, type OutputGradients } from './oracle/gradient.js';
import { at, type Letters, type Numbers, toFloat32 } from './oracle/shape.js';

const ALL_BACKENDS = ['webgpu', 'cpu', 'wasm', 'tensorflow'] as const;
export type Backend = (typeof ALL_BACKENDS)[number];

/** The backends that every statement about results is tested on: those that LSH_BACKENDS names. */
export const BACKENDS: readonly Backend[] = ALL_BACKENDS.filter((backend) =>
  (process.env.LSH_BACKENDS ?? 'webgpu,cpu').split(',').includes(backend),
);

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

/** The gradients of a case, and the buckets that it used. */
export interface Gradients {
  readonly dqk: Float32Array;
  readonly dv: Float32Array;
  readonly buckets: Int32Array;
}

/** A case as tensors on the current backend. */
interface Tensors {
  readonly qk: tf.Tensor;
  readonly v: tf.Tensor;
  readonly options: LshAttentionOptions;
}

/** The values of all tensors that a function of a case returns; what they took is given back. */
async function valuesOf<Name extends string>(
  test: Case,
  during: (tensors: Tensors) => Record<Name, tf.Tensor>,
): Promise<Record<Name, tf.DataTypeMap[tf.DataType]>> {
  const { B, H, L, D, E } = test.shape;
  const results = tf.tidy(() => {
    const R = test.options?.numHashes ?? 4;
    return during({
      qk: tf.tensor(test.qk, [B, H, L, D], 'float32'),
      v: tf.tensor(test.v, [B, H, L, E], 'float32'),
      options: {
        ...test.options,
        ...(test.mask && { mask: tf.tensor(test.mask, [B, L], 'int32') }),
        ...(test.rotations && { rotations: tf.tensor(test.rotations, rotationShape(test, R)) }),
        ...(test.buckets && { buckets: tf.tensor(test.buckets, [B, H, R, L], 'int32') }),
      },
    });
  });
  try {
    const values = {} as Record<Name, tf.DataTypeMap[tf.DataType]>;
    for (const name of Object.keys(results) as Name[]) {
      values[name] = await results[name].data();
    }
    return values;
  } finally {
    tf.dispose(results as tf.TensorContainer);
  }
}

/** `lshAttentionWithLse` and `lshBuckets` of a case. */
export function call(backend: Backend, test: Case): Promise<Results> {
  return onBackend(backend, async () => {
    const values = await valuesOf(test, ({ qk, v, options }) => ({
      ...lshAttentionWithLse(qk, v, options),
      buckets: lshBuckets(qk, options),
    }));
    return values as unknown as Results;
  });
}

/** The gradients of Σ out·dOut + Σ lse·dLse of a case. */
export function callGradient(
  backend: Backend,
  test: Case,
  dOut: Numbers,
  dLse?: Numbers,
): Promise<Gradients> {
  const { B, H, L, E } = test.shape;
  return onBackend(backend, async () => {
    const values = await valuesOf(test, ({ qk, v, options }) => {
      const weights = tf.tensor(Float32Array.from(dOut), [B, H, L, E]);
      const lseWeights = dLse && tf.tensor(Float32Array.from(dLse), [B, H, L]);
      const loss = (qk: tf.Tensor, v: tf.Tensor) => {
        const { out, lse } = lshAttentionWithLse(qk, v, options);
        const ofOut = tf.sum(tf.mul(out, weights));
        return lseWeights === undefined ? ofOut : tf.add(ofOut, tf.sum(tf.mul(lse, lseWeights)));
      };
      const [dqk, dv] = tf.grads(loss)([qk, v]) as [tf.Tensor, tf.Tensor];
      return { dqk, dv, buckets: lshBuckets(qk, options) };
    });
    return values as unknown as Gradients;
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
  const { numHashes: R = 4, chunkLength: C = 64, chunksBefore = 1, chunksAfter = 0 } = options;
  // Beyond them there are no chunks, and the oracle would count on.
  const chunks = R * Math.ceil(shape.L / C);
  return {
    ...{ N: factorsOf(test).reduce((product, f) => product * f, 1), R, C },
    ...{ P: Math.min(chunksBefore, chunks), A: Math.min(chunksAfter, chunks) },
    causal: options.causal ?? false,
    window: options.window ?? 'chunk',
    duplicates: options.duplicates ?? 'correct',
    wrap: options.roundBoundary === 'wrap',
    acrossBuckets: options.acrossBuckets ?? true,
    scale: options.scale === '1/sqrt(D)' ? 1 / Math.sqrt(shape.D) : (options.scale ?? 1),
    dropout: options.dropout ?? 0,
    seed: options.seed ?? 0,
  };
}

/** What the oracle reads: the buckets that a call used, with N where the mask pads. */
function oracleInputs(test: Case, buckets: Int32Array): AttendInputs {
  const { H, L } = test.shape;
  const { N, R } = lettersOf(test);
  const used = buckets.map((bucket, i) => {
    const b = Math.floor(i / (H * R * L));
    return test.mask !== undefined && at(test.mask, b * L + (i % L)) === 0 ? N : bucket;
  });
  return { qk: test.qk, v: test.v, buckets: used, ...(test.buckets && { keys: test.buckets }) };
}

/** Checks a call's results against the oracle, which is given the buckets that the call used. */
export function expectOracle(test: Case, { out, lse, buckets }: Results): void {
  const { B, H, L, E } = test.shape;
  const options = lettersOf(test);
  const inputs = oracleInputs(test, buckets);
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
  // A log-sum-exp near 0 is a sum of products that are not.
  const products = options.scale === undefined ? 1 : options.scale * largestOf(test.qk);
  const size = Math.max(products, largestOf(others(exact.lse)));
  expectAsExactAsFloat32(others(lse), others(exact.lse), others(naive.lse), 'lse', 2, size);
}

/** Calls and checks on one backend. */
export async function check(backend: Backend, test: Case): Promise<Results> {
  const results = await call(backend, test);
  expectOracle(test, results);
  return results;
}

/** The length of the longest row of `values [rows, width]`. */
function largestRow(values: Numbers, width: number): number {
  const lengths = Array.from({ length: values.length / width }, (_, row) =>
    Math.hypot(...Array.from({ length: width }, (_, i) => at(values, row * width + i))),
  );
  return largestOf(lengths);
}

/** Checks gradients against the oracle, which is given the buckets that the call used. */
export function expectGradientOracle(
  test: Case,
  { dqk, dv, buckets }: Gradients,
  from: OutputGradients,
): void {
  const { B, H, L, D, E } = test.shape;
  const options = lettersOf(test);
  const inputs = oracleInputs(test, buckets);
  const exact = gradient(inputs, from, test.shape, options);
  const naive = gradient(inputs, from, test.shape, options, toFloat32);
  // A slope near 0 is a difference of products that are not.
  const products = (options.scale ?? 1) * largestRow(from.dOut, E) * largestRow(test.v, E);
  const size = Math.max(products, largestOf(exact.dqk));
  expectAsExactAsFloat32(dqk, exact.dqk, naive.dqk, 'dqk', 3, size);
  expectAsExactAsFloat32(dv, exact.dv, naive.dv, 'dv', 3);
  for (let token = 0; token < B * H * L; token++) {
    if (test.mask !== undefined && test.mask[Math.floor(token / (H * L)) * L + (token % L)] === 0) {
      const own = Array.from({ length: E }, (_, e) => Math.fround(at(from.dOut, token * E + e)));
      expect(Array.from(dv.subarray(token * E, (token + 1) * E)), `dv of padding ${token}`).toEqual(own);
      const still = dqk.subarray(token * D, (token + 1) * D).every((x) => x === 0);
      expect(still, `dqk of padding ${token} is zero`).toBe(true);
    }
  }
}

/** Gradients of a case from seeded gradients of its outputs, checked on one backend. */
export async function checkGradient(backend: Backend, test: Case): Promise<Gradients> {
  const { B, H, L, E } = test.shape;
  const from = { dOut: normals(B * H * L * E, 7), dLse: normals(B * H * L, 8) };
  const gradients = await callGradient(backend, test, from.dOut, from.dLse);
  expectGradientOracle(test, gradients, from);
  return gradients;
}
