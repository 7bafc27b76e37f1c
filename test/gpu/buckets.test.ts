import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { gaussianRotations } from '../../src/hashing/rotations.js';
import { lshBuckets } from '../../src/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { normals } from '../inputs.js';
import { hash } from '../oracle/hash.js';
import { at } from '../oracle/shape.js';

/** Rounding in float32 cannot reach farther than this, in units of |q|. */
const CLEAR_MARGIN = 1e-4;
const SHAPE = { B: 2, H: 3, L: 70, D: 24 };

describe.each(BACKENDS)('on %s', (backend) => {
  test.each(
    [[2], [6], [64], [4, 8], [2, 6, 4], [...Array<number>(16).fill(2), 4, 4]].map((factors) => ({ factors })),
  )('lshBuckets into $factors is the hash in float64, near ties apart', async ({ factors }) => {
    const { B, H, L, D } = SHAPE;
    const qk = normals(B * H * L * D, 3);
    qk.fill(0, 5 * D, 6 * D);
    qk[1000] = 1e4;
    const F = factors.reduce((sum, f) => sum + f / 2, 0);
    for (const R of [1, 3]) {
      const rotations = gaussianRotations({ H, D, R, F }, 7);
      const expected = hash({ qk, rotations }, SHAPE, R, factors);
      const buckets = await onBackend(backend, async () => {
        const options = { numHashes: R, numBuckets: factors, seed: 7 };
        const tensor = tf.tidy(() => lshBuckets(tf.tensor(qk, [B, H, L, D]), options));
        expect(tensor.shape).toEqual([B, H, R, L]);
        expect(tensor.dtype).toBe('int32');
        const values = await tensor.data();
        tensor.dispose();
        return values;
      });
      const clear = Array.from(buckets.keys()).filter((i) => at(expected.margins, i) > CLEAR_MARGIN);
      expect(clear.length).toBeGreaterThanOrEqual(0.99 * buckets.length);
      const of = (values: ArrayLike<number>) => clear.map((i) => at(values, i));
      expect(of(buckets)).toEqual(of(expected.buckets));
    }
  });

  test('the first rounds of many are the rounds of few', async () => {
    await onBackend(backend, async () => {
      const { B, H, L, D } = SHAPE;
      const [few, many] = tf.tidy(() => {
        const qk = tf.tensor(normals(B * H * L * D, 3), [B, H, L, D]);
        const options = { numBuckets: 16 };
        return [
          lshBuckets(qk, { ...options, numHashes: 2 }),
          tf.slice(lshBuckets(qk, { ...options, numHashes: 5 }), 0, [B, H, 2, L]),
        ] as const;
      });
      expect(await many.data()).toEqual(await few.data());
      tf.dispose([few, many]);
    });
  });

  // Two unit vectors at cosine ρ share a bucket with a probability that does not depend on D.
  test.each([
    { rho: 0, m: 4, probability: 1 / 8 },
    { rho: 0.5, m: 1, probability: 1 - Math.acos(0.5) / Math.PI },
    { rho: 0.5, m: 2, probability: (1 - Math.acos(0.5) / Math.PI) ** 2 },
    { rho: 0.5, m: 8, probability: 0.2325 },
    { rho: 0.5, m: 16, probability: 0.173 },
    { rho: 0.5, m: 32, probability: 0.1298 },
    { rho: 0.5, m: 64, probability: 0.0982 },
    { rho: 0.8, m: 8, probability: 0.4608 },
    { rho: 0.8, m: 16, probability: 0.3999 },
    { rho: 0.8, m: 32, probability: 0.3494 },
    { rho: 0.8, m: 64, probability: 0.3073 },
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: measured, and near √½ by chance
    { rho: 0.95, m: 8, probability: 0.7071 },
    { rho: 0.95, m: 16, probability: 0.666 },
    { rho: 0.95, m: 32, probability: 0.6298 },
    { rho: 0.95, m: 64, probability: 0.5977 },
  ])('cosine $rho, $m directions: collisions at $probability', async ({ rho, m, probability }) => {
    const [H, R, D] = [16, 48, 8];
    const pairs = 4;
    const qk = new Float32Array(H * pairs * 2 * D);
    const source = normals(H * pairs * 2 * D, m, false);
    for (let pair = 0; pair < H * pairs; pair++) {
      const start = pair * 2 * D;
      const a = Array.from(source.subarray(start, start + D));
      const raw = Array.from(source.subarray(start + D, start + 2 * D));
      const length = Math.hypot(...a);
      const along = a.reduce((sum, x, d) => sum + x * at(raw, d), 0) / length ** 2;
      const across = raw.map((x, d) => x - along * at(a, d));
      const width = Math.hypot(...across);
      qk.set(
        a.map((x) => x / length),
        start,
      );
      qk.set(
        a.map((x, d) => (rho * x) / length + (Math.sqrt(1 - rho * rho) * at(across, d)) / width),
        start + D,
      );
    }
    const buckets = await onBackend(backend, async () => {
      const options = { numHashes: R, numBuckets: 2 * m, seed: 11 };
      const tensor = tf.tidy(() => lshBuckets(tf.tensor(qk, [H, pairs * 2, D]), options));
      const values = await tensor.data();
      tensor.dispose();
      return values;
    });
    let collisions = 0;
    for (let i = 0; i < buckets.length; i += 2) {
      collisions += Number(buckets[i] === buckets[i + 1]);
    }
    // Only the H·R rotations are independent draws; a head's pairs share one.
    const deviation = Math.sqrt((probability * (1 - probability)) / (H * R));
    expect(Math.abs(collisions / (H * R * pairs) - probability)).toBeLessThan(3 * deviation);
  });
});
