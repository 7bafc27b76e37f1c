import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { drawFunctions, SCHEMES } from '../../src/hashing/minhash/schemes.js';
import { MinHash, minHashSignatures } from '../../src/search/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';
import { minima } from '../oracle/minhash.js';
import { runKernel } from './runKernel.js';

const GARBAGE = 0x5eed5eed;
/** Empty, one word, the words at the ends of their range, a set of its own. */
const SETS = [[], [7], [0, 1, 2 ** 31, 2 ** 32 - 1], [...integers(50, 2 ** 31, 4)], [], [7, 7, 8]];

describe.skipIf(!BACKENDS.includes('webgpu'))('hash/minhash', () => {
  test.each(SCHEMES.flatMap((scheme) => [1, 64, 65, 130].map((k) => ({ scheme, k }))))(
    '$scheme, k=$k',
    async ({ scheme, k }) => {
      const { constants } = drawFunctions(scheme, k, 5);
      const offsets = [0];
      for (const set of SETS) {
        offsets.push((offsets.at(-1) as number) + set.length);
      }
      const tiles = Math.ceil(k / 64);
      const { signatures } = await runKernel('hash/minhash', {
        constants: { SCHEME: SCHEMES.indexOf(scheme) },
        params: { k, tiles },
        workgroups: SETS.length * tiles,
        buffers: {
          words: Uint32Array.from(SETS.flat()),
          offsets: Uint32Array.from(offsets),
          constants,
          signatures: new Uint32Array(SETS.length * k).fill(GARBAGE),
        },
      });
      expect(Array.from(signatures)).toEqual(SETS.flatMap((set) => minima(set, constants, scheme)));
    },
  );
});

describe.each(BACKENDS)('minHashSignatures on %s', (backend) => {
  test.each(SCHEMES)('%s: those of MinHash, of long sets and of none', async (scheme) => {
    await onBackend(backend, async () => {
      const before = tf.memory().numTensors;
      const options = { scheme, numHashes: 70, seed: 3 };
      // Longer than what a workgroup walks over.
      const long = Uint32Array.from(integers(20000, 2 ** 31, 9));
      const sets = [...SETS, long, ['a', 'b', new Uint8Array([1, 2])], new Set([1, 'x'])];
      const signatures = await minHashSignatures(sets, options);
      expect(signatures).toHaveLength(sets.length * 70);
      for (const [i, set] of sets.entries()) {
        const own = new MinHash(options).addAll(set).signature();
        expect(signatures.subarray(i * 70, (i + 1) * 70), `set ${i}`).toEqual(own);
      }
      expect(await minHashSignatures([], options)).toHaveLength(0);
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  test('refuses what is no list of sets, and leaks nothing', async () => {
    await onBackend(backend, async () => {
      const before = tf.memory().numTensors;
      await expect(minHashSignatures(5 as unknown as number[][])).rejects.toThrow(
        '`sets` must be an iterable',
      );
      await expect(minHashSignatures([[1.5]])).rejects.toThrow('minHashSignatures: a number in a set');
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});
