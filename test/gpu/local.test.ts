import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs's ops
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type LocalAttentionOptions, localAttention } from '../../src/index.js';
import { expectAsExactAsFloat32, largestError, largestOf } from '../accuracy.js';
import { BACKENDS, onBackend } from '../call.js';
import { finiteDifferences } from '../differences.js';
import { integers, normals } from '../inputs.js';
import { keptFactor } from '../oracle/dropout.js';
import { type LocalOptions, local } from '../oracle/local.js';
import { type Letters, toFloat32 } from '../oracle/shape.js';

interface Case {
  readonly shape: Letters;
  readonly options?: Omit<LocalAttentionOptions, 'mask'>;
  readonly mask?: Int32Array;
}

const lengths = ({ B, H, L, D, E }: Letters) => [B * H * L * D, B * H * L * D, B * H * L * E] as const;
const inputsOf = (shape: Letters) =>
  lengths(shape).map((length, n) => normals(length, 10 + n)) as [Float32Array, Float32Array, Float32Array];

/** The same options in the oracle's words. */
function lettersOf({ shape: { D }, options = {}, mask }: Case): LocalOptions {
  const { chunkLength = 64, chunksBefore, chunksAfter, causal, scale = '1/sqrt(D)' } = options;
  const { dropout = 0, seed = 0, boundary } = options;
  return {
    C: chunkLength,
    ...(chunksBefore !== undefined && { P: chunksBefore }),
    ...(chunksAfter !== undefined && { A: chunksAfter }),
    ...(causal !== undefined && { causal }),
    ...(mask && { mask }),
    wrap: boundary === 'wrap',
    scale: scale === '1/sqrt(D)' ? 1 / Math.sqrt(D) : scale,
    kept: (b, h, i, j) => keptFactor(dropout, seed, { b, h, r: 0, i, j }),
  };
}

function tensorsOf({ shape: { B, H, L, D, E } }: Case, [q, k, v]: readonly Float32Array[]): tf.Tensor[] {
  return [
    tf.tensor(q as Float32Array, [B, H, L, D]),
    tf.tensor(k as Float32Array, [B, H, L, D]),
    tf.tensor(v as Float32Array, [B, H, L, E]),
  ];
}

const CASES: Record<string, Case> = {
  'the defaults, and a short last chunk': { shape: { B: 1, H: 2, L: 150, D: 24, E: 24 } },
  'causal, masked at position 0': {
    shape: { B: 2, H: 2, L: 45, D: 8, E: 5 },
    options: { chunkLength: 8, causal: true },
    mask: Int32Array.from({ length: 90 }, (_, i) => Number(i % 45 !== 0 && i % 7 !== 3)),
  },
  'all padding, and none': {
    shape: { B: 2, H: 1, L: 20, D: 3, E: 1 },
    options: { chunkLength: 6, chunksAfter: 1 },
    mask: Int32Array.from({ length: 40 }, (_, i) => Number(i < 20)),
  },
  'round the ends, of two chunks twice': {
    shape: { B: 2, H: 2, L: 16, D: 8, E: 5 },
    options: { chunkLength: 8, chunksAfter: 1, boundary: 'wrap' },
    mask: Int32Array.from({ length: 32 }, (_, i) => Number(i % 5 !== 3)),
  },
  'round the ends, with dropout': {
    shape: { B: 1, H: 2, L: 24, D: 8, E: 5 },
    options: { chunkLength: 6, chunksBefore: 2, boundary: 'wrap', dropout: 0.3, seed: 7 },
  },
  'two chunks before, one after, dropout': {
    shape: { B: 2, H: 2, L: 37, D: 8, E: 5 },
    options: { chunkLength: 5, chunksBefore: 2, chunksAfter: 1, dropout: 0.3, seed: 7, scale: 1 },
  },
  'the own chunk alone': {
    shape: { B: 1, H: 1, L: 12, D: 4, E: 4 },
    options: { chunkLength: 4, chunksBefore: 0 },
  },
  'chunks longer than the row': {
    shape: { B: 1, H: 1, L: 7, D: 4, E: 2 },
    options: { chunkLength: 100, chunksBefore: 9, chunksAfter: 9, causal: true },
  },
  'one token': { shape: { B: 1, H: 1, L: 1, D: 1, E: 3 } },
};

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(Object.entries(CASES))('%s', async (_name, testCase) => {
    const { shape, options, mask } = testCase;
    const values = inputsOf(shape);
    const letters = lettersOf(testCase);
    const exact = local(...values, shape, letters);
    const naive = local(...values, shape, letters, toFloat32);
    await onBackend(backend, async () => {
      const [q, k, v] = tensorsOf(testCase, values) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const padding = mask && tf.tensor(mask, [shape.B, shape.L], 'bool');
      const before = tf.memory().numTensors;
      const out = localAttention(q, k, v, { ...options, ...(padding && { mask: padding }) });
      expect(tf.memory().numTensors - before).toBe(1);
      expect(out.shape).toEqual(v.shape);
      expectAsExactAsFloat32(await out.data(), exact, naive, 'out');
      tf.dispose([q, k, v, out, ...(padding ? [padding] : [])]);
    });
  });

  test('the gradient is that of finite differences', async () => {
    const testCase: Case = {
      shape: { B: 2, H: 1, L: 11, D: 3, E: 2 },
      options: { chunkLength: 4, causal: true, dropout: 0.2, seed: 3 },
      mask: integers(22, 4, 5),
    };
    const { shape, options, mask } = testCase;
    const values = inputsOf(shape);
    const letters = lettersOf(testCase);
    const dOut = normals(lengths(shape)[2], 20);
    await onBackend(backend, async () => {
      const inputs = tensorsOf(testCase, values);
      const gradients = tf.tidy(() => {
        const direction = tf.tensor(dOut, [2, 1, 11, 2]);
        const padding = tf.tensor(mask as Int32Array, [2, 11], 'int32');
        return tf.grads((...[q, k, v]: tf.Tensor[]) =>
          tf.sum(
            tf.mul(
              localAttention(q as tf.Tensor, k as tf.Tensor, v as tf.Tensor, { ...options, mask: padding }),
              direction,
            ),
          ),
        )(inputs);
      });
      for (const [n, gradient] of gradients.entries()) {
        const expected = finiteDifferences(
          (changed) =>
            local(...(values.map((x, m) => (m === n ? changed : x)) as typeof values), shape, letters),
          values[n] as Float32Array,
          dOut,
        );
        expect(largestOf(expected)).toBeGreaterThan(0.1);
        const error = largestError(await gradient.data(), expected);
        expect(error, `of the gradient by ${'qkv'[n]}`).toBeLessThan(1e-5 * (1 + largestOf(expected)));
      }
      tf.dispose([...inputs, ...gradients]);
    });
  });
});
