import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { lshAttention, lshBuckets } from '../../src/index.js';
import { learnHash } from '../../src/search/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { normals } from '../inputs.js';

const [n, D] = [60, 8];
const rows = normals(n * D, 5);
const labels = Array.from({ length: n }, (_, i) => Number((rows[i * D] as number) > 0));

describe.each(BACKENDS)('a learned family on %s', (backend) => {
  test('is fitted there, hashes tensors as arrays, and drives attention', async () => {
    await onBackend(backend, async () => {
      const before = tf.memory().numTensors;
      const family = await learnHash(rows, labels, { bits: 4, tables: 2, solver: 'newton' });
      const codes = family.hash(rows);
      const tensor = tf.tidy(() => family.hashTensor(tf.tensor2d(rows, [n, D])));
      expect(tensor.shape).toEqual([2, n]);
      expect(await tensor.data()).toEqual(codes);
      const qk = tf.tensor3d(rows, [1, n, D]);
      const buckets = lshBuckets(qk, { hash: family });
      expect(await buckets.data()).toEqual(codes);
      const out = lshAttention(qk, qk, { hash: family, chunkLength: 16 });
      expect((await out.data()).every(Number.isFinite)).toBe(true);
      tf.dispose([tensor, qk, buckets, out]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});
