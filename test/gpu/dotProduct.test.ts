import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs's ops
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import {
  NOTHING_SEEN,
  type ScaledDotProductOptions,
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
} from '../../src/index.js';
import { expectAsExactAsFloat32, largestError, largestOf } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { finiteDifferences } from '../differences.js';
import { integers, normals } from '../inputs.js';
import {
  type AcrossLetters,
  type DotProductOptions,
  dotProduct,
  dotProductGradient,
} from '../oracle/dotProduct.js';
import { at, toFloat32 } from '../oracle/shape.js';
import { pretend, pretendNothing } from './limits.js';

interface Case {
  readonly shape: AcrossLetters;
  readonly options?: Omit<ScaledDotProductOptions, 'mask' | 'scale'> & { readonly scale?: number };
  /** `[B, Lk]`, or four axes. */
  readonly mask?: { readonly values: Int32Array; readonly axes: readonly number[] };
}

const shape = (B: number, H: number, L: number, Lk: number, D: number, E: number) => ({ B, H, L, Lk, D, E });
const NAMES = ['q', 'k', 'v'] as const;

/** Inputs of a case: q, k and v. */
function inputs({ shape: { B, H, L, Lk, D, E } }: Case): [Float32Array, Float32Array, Float32Array] {
  return [normals(B * H * L * D, L + D), normals(B * H * Lk * D, Lk), normals(B * H * Lk * E, E + 3)];
}

/** Random bits as a mask of some axes. */
function randomMask(axes: readonly number[], seed: number): Required<Case>['mask'] {
  const values = integers(
    axes.reduce((a, b) => a * b, 1),
    3,
    seed,
  ).map((x) => Number(x > 0));
  return { values, axes };
}

function oracleOptions({ shape: { B, H, L, Lk }, options = {}, mask }: Case): DotProductOptions {
  if (mask === undefined) {
    return options;
  }
  const axes = mask.axes.length === 2 ? [B, 1, 1, Lk] : mask.axes;
  return {
    ...options,
    mask: (row, i, j) => {
      const place = [Math.floor(row / H) % B, row % H, i % L, j];
      const index = axes.reduce((sum, size, axis) => sum * size + (size === 1 ? 0 : at(place, axis)), 0);
      return at(mask.values, index) !== 0;
    },
  };
}

function tensors(test: Case) {
  const { B, H, L, Lk, D, E } = test.shape;
  const [q, k, v] = inputs(test);
  const mask = test.mask && tf.tensor(test.mask.values, [...test.mask.axes], 'int32');
  return {
    qkv: [tf.tensor(q, [B, H, L, D]), tf.tensor(k, [B, H, Lk, D]), tf.tensor(v, [B, H, Lk, E])] as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ],
    options: { ...test.options, ...(mask && { mask }) },
  };
}

/** Runs a case on the current backend, and compares it with the oracle. */
async function expectOracle(test: Case): Promise<void> {
  const before = tf.memory().numTensors;
  const { out, lse } = tf.tidy(() => {
    const { qkv, options } = tensors(test);
    return { ...scaledDotProductAttentionWithLse(...qkv, options) };
  });
  const exact = dotProduct(...inputs(test), test.shape, oracleOptions(test));
  const naive = dotProduct(...inputs(test), test.shape, oracleOptions(test), toFloat32);
  const [outs, lses] = [await out.data(), await lse.data()];
  tf.dispose([out, lse]);
  expect(tf.memory().numTensors).toBe(before);
  const { E } = test.shape;
  const seen = Array.from(exact.lse.keys()).filter((i) => exact.lse[i] !== NOTHING_SEEN);
  for (const [i, x] of exact.lse.entries()) {
    if (x === NOTHING_SEEN) {
      expect(lses[i]).toBe(Math.fround(NOTHING_SEEN));
      expect(Array.from(outs.slice(i * E, (i + 1) * E))).toEqual(Array(E).fill(0));
    }
  }
  expectAsExactAsFloat32(outs, exact.out, naive.out, 'out');
  const of = (values: ArrayLike<number>) => seen.map((i) => at(values, i));
  const size = largestOf(inputs(test)[0]);
  expectAsExactAsFloat32(of(lses), of(exact.lse), of(naive.lse), 'lse', 2, size);
}

/** Runs the gradient of a case on the current backend, and compares it with the oracle. */
async function expectOracleGradient(test: Case): Promise<void> {
  const { B, H, L, E } = test.shape;
  const dOut = normals(B * H * L * E, 77);
  // A query that sees nothing has a constant log-sum-exp; float32 has no 1e-38 of it left to differ by.
  const seen = dotProduct(...inputs(test), test.shape, oracleOptions(test)).lse;
  const dLse = normals(B * H * L, 78).map((x, i) => (at(seen, i) === NOTHING_SEEN ? 0 : x));
  const before = tf.memory().numTensors;
  const gradients = tf.tidy(() => {
    const { qkv, options } = tensors(test);
    return tf.grads((q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
      const { out, lse } = scaledDotProductAttentionWithLse(q, k, v, options);
      const ofOut = tf.sum(tf.mul(out, tf.tensor(dOut, out.shape)));
      return tf.add(ofOut, tf.sum(tf.mul(lse, tf.tensor(dLse, lse.shape))));
    })(qkv);
  });
  const exact = dotProductGradient(inputs(test), test.shape, oracleOptions(test), dOut, dLse);
  for (const [n, expected] of [exact.dq, exact.dk, exact.dv].entries()) {
    const error = largestError(await (gradients[n] as tf.Tensor).data(), expected);
    expect(error, `of the gradient by ${NAMES[n]}`).toBeLessThan(1e-5 * (1 + largestOf(expected)));
  }
  tf.dispose(gradients);
  expect(tf.memory().numTensors).toBe(before);
}

test('the oracle has the gradient of finite differences', () => {
  const test: Case = {
    shape: shape(1, 2, 4, 5, 3, 2),
    options: { causal: true, dropout: 0.3, seed: 5, scale: 0.7 },
    mask: randomMask([1, 2, 4, 5], 8),
  };
  const options = oracleOptions(test);
  const all = inputs(test);
  const dOut = normals(16, 1);
  const exact = dotProductGradient(all, test.shape, options, dOut, new Float64Array(8));
  for (const [n, gradient] of [exact.dq, exact.dk, exact.dv].entries()) {
    const f = (x: Float64Array) => {
      const moved = all.map((y, m) => (m === n ? x : y)) as unknown as typeof all;
      return dotProduct(...moved, test.shape, options).out;
    };
    const expected = finiteDifferences(f, all[n] as Float32Array, dOut);
    expect(largestError(gradient, expected)).toBeLessThan(1e-7 * (1 + largestOf(expected)));
  }
});

describe.each(BACKENDS)('on %s', (backend) => {
  test.each<Case>([
    { shape: shape(1, 1, 1, 1, 1, 1) },
    { shape: shape(1, 2, 1, 70, 24, 3), options: { causal: true } },
    { shape: shape(2, 2, 33, 70, 64, 64), options: { causal: true } },
    { shape: shape(2, 2, 70, 33, 24, 40), options: { causal: true, scale: 0.3 } },
    { shape: shape(2, 1, 65, 130, 72, 64), mask: randomMask([2, 130], 3) },
    { shape: shape(2, 2, 40, 67, 3, 24), mask: randomMask([2, 2, 40, 67], 4), options: { causal: true } },
    { shape: shape(2, 2, 40, 67, 3, 24), mask: randomMask([1, 2, 1, 67], 5) },
    {
      shape: shape(2, 2, 9, 67, 3, 24),
      mask: randomMask([2, 1, 9, 67], 6),
      options: { dropout: 0.4, seed: 9 },
    },
    { shape: shape(1, 1, 35, 35, 256, 256) },
    { shape: shape(1, 1, 5, 3, 1, 256), options: { causal: true } },
    { shape: shape(1, 2, 6, 8, 4, 4), mask: { values: new Int32Array(8), axes: [1, 8] } },
  ])('equals the oracle: $shape $options', async (test) => {
    await onBackend(backend, () => expectOracle(test));
  });

  test.each<Case>([
    { shape: shape(2, 2, 33, 70, 40, 64), options: { causal: true } },
    { shape: shape(2, 2, 70, 33, 3, 24), options: { causal: true, scale: 0.4 } },
    { shape: shape(1, 2, 40, 67, 24, 32), mask: randomMask([1, 67], 3), options: { dropout: 0.3, seed: 2 } },
    { shape: shape(2, 2, 20, 37, 8, 4), mask: randomMask([2, 1, 20, 37], 4) },
    { shape: shape(1, 2, 6, 8, 4, 4), mask: { values: new Int32Array(8), axes: [1, 8] } },
  ])('has the gradient of the oracle: $shape $options', async (test) => {
    await onBackend(backend, () => expectOracleGradient(test));
  });

  test('lower ranks are rows of one batch, and nothing gives nothing', async () => {
    await onBackend(backend, async () => {
      const [q, k, v] = inputs({ shape: shape(1, 1, 5, 7, 4, 3) });
      const results = tf.tidy(() => [
        scaledDotProductAttention(tf.tensor(q, [5, 4]), tf.tensor(k, [7, 4]), tf.tensor(v, [7, 3])),
        scaledDotProductAttention(tf.tensor(q, [1, 5, 4]), tf.tensor(k, [1, 7, 4]), tf.tensor(v, [1, 7, 3])),
        scaledDotProductAttention(tf.zeros([2, 5, 4]), tf.zeros([2, 0, 4]), tf.zeros([2, 0, 3])),
        scaledDotProductAttention(tf.zeros([2, 0, 4]), tf.zeros([2, 7, 4]), tf.zeros([2, 7, 3])),
      ]);
      expect(results.map((result) => result.shape)).toEqual([
        [5, 3],
        [1, 5, 3],
        [2, 5, 3],
        [2, 0, 3],
      ]);
      const [flat, deep, unseen] = await Promise.all(results.map((result) => result.data()));
      expect(flat).toEqual(deep);
      expect(unseen).toEqual(new Float32Array(30));
      tf.dispose(results);
    });
  });
});

describe.runIf(BACKENDS.includes('webgpu'))('on webgpu alone', () => {
  const test1: Case = {
    shape: shape(2, 2, 9, 67, 3, 24),
    options: { causal: true, dropout: 0.4, seed: 9 },
    mask: randomMask([2, 67], 7),
  };
  afterEach(pretendNothing);

  async function valuesOf(): Promise<unknown[]> {
    const results = tf.tidy(() => {
      const { qkv, options } = tensors(test1);
      const attend = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
        scaledDotProductAttentionWithLse(q, k, v, options);
      const { out, lse } = attend(...qkv);
      return [out, lse, ...tf.grads((q, k, v) => tf.sum(tf.square(attend(q, k, v).out)))(qkv)];
    });
    const values = await Promise.all(results.map((result) => result.data()));
    tf.dispose(results);
    return values;
  }

  test('batches of rows change nothing', async () => {
    const whole = await valuesOf();
    for (const rows of [1, 3]) {
      pretend({ maxStorageBufferBindingSize: rows * 67 * 24 * 4 + 256 }); // v, the largest per row, decides
      expect(await valuesOf()).toEqual(whole);
    }
  });

  test('a row that does not fit is refused, and leaves nothing', () => {
    const before = tf.memory().numTensors;
    pretend({ maxStorageBufferBindingSize: 67 * 24 * 4 });
    const call = () => tf.tidy(() => scaledDotProductAttention(...tensors(test1).qkv));
    expect(call).toThrow(/one head's `v` takes 6432 bytes/);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('there is no second derivative', () => {
    const second = () =>
      tf.tidy(() => {
        const [q, k, v] = tensors(test1).qkv;
        const first = tf.grad((x: tf.Tensor) => tf.sum(scaledDotProductAttention(x, k, v)));
        return tf.grad((x: tf.Tensor) => tf.sum(tf.square(first(x))))(q);
      });
    expect(second).toThrow(
      'scaledDotProductAttention: there are no second derivatives on the webgpu backend',
    );
  });
});
