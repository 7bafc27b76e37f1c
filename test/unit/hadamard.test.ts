import '@tensorflow/tfjs-backend-wasm'; // ten times as fast as cpu
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { hadamardSigns } from '../../src/hashing/hadamard.js';
import { hadamardProjection } from '../../src/hashing/projection.js';
import { Recent } from '../../src/hashing/recent.js';
import { lshBuckets, plan } from '../../src/index.js';
import { normals } from '../inputs.js';
import { hadamardColumns } from '../oracle/hadamard.js';
import { at } from '../oracle/shape.js';

beforeAll(async () => {
  await tf.setBackend('wasm');
});

describe('hadamardSigns', () => {
  test.each([
    [1, 1, 1, 1],
    [1, 3, 3, 1],
    [2, 1, 2, 1],
    [3, 9, 4, 3],
    [64, 64, 64, 1],
    [64, 65, 64, 2],
    [80, 32, 128, 1],
    [256, 300, 256, 2],
  ])('depth %i, %i columns: blocks of %i, %i of them', (D, F, Dp, K) => {
    const signs = hadamardSigns({ H: 2, D, R: 3, F }, 1);
    expect(signs.length).toBe(2 * 3 * K * 3 * Dp);
    expect(signs.every((sign) => Math.abs(sign) === 1)).toBe(true);
  });

  test('an entry depends on its own place alone', () => {
    const [H, R, K, Dp] = [2, 2, 2, 32];
    const small = hadamardSigns({ H, D: 17, R, F: 40 }, 5);
    const large = hadamardSigns({ H: 3, D: 200, R: 4, F: 700 }, 5);
    for (let h = 0; h < H; h++) {
      for (let r = 0; r < R; r++) {
        for (let block = 0; block < K; block++) {
          for (let s = 0; s < 3; s++) {
            const first = (((h * R + r) * K + block) * 3 + s) * Dp;
            const same = (((h * 4 + r) * 3 + block) * 3 + s) * 256;
            expect(small.subarray(first, first + Dp)).toEqual(large.subarray(same, same + Dp));
          }
        }
      }
    }
  });

  // Frozen, checked by another Philox: a seed that hashed a model's training must hash it for ever.
  test('are these', () => {
    const text = (values: Float32Array) => Array.from(values, (x) => (x > 0 ? '+' : '-')).join('');
    expect(text(hadamardSigns({ H: 1, D: 8, R: 2, F: 8 }, 0))).toBe(
      '+++---+-+++++-----+--++-+-++-+++-++++--+----+-+-',
    );
    expect(text(hadamardSigns({ H: 2, D: 3, R: 1, F: 5 }, 2 ** 32 - 1))).toBe(
      '---+++---+-+--+++-+--+-++++---+-++-------+++-+-+',
    );
    const deep = text(hadamardSigns({ H: 1, D: 256, R: 1, F: 1 }, 7));
    expect([0, 128, 256, 512].map((from) => deep.slice(from, from + 16))).toEqual([
      '---+---+--++--+-',
      '--+----+-+------',
      '--+-++---++-+--+',
      '+++++++---+--+++',
    ]);
  });

  test('are fair, and neighbours in every axis independent', () => {
    const [H, R, K, Dp] = [8, 8, 4, 256];
    const signs = hadamardSigns({ H, D: Dp, R, F: K * Dp }, 3);
    const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x, 0) / values.length;
    expect(Math.abs(mean(signs))).toBeLessThan(5 / Math.sqrt(signs.length));
    for (const stride of [1, 32, 128, Dp, 3 * Dp, K * 3 * Dp, R * K * 3 * Dp]) {
      const products = signs.subarray(stride).map((x, i) => x * at(signs, i));
      expect(Math.abs(mean(products)), `stride ${stride}`).toBeLessThan(5 / Math.sqrt(products.length));
    }
  });

  test('the same seed gives the same signs, another seed others', () => {
    const shape = { H: 2, D: 16, R: 4, F: 9 };
    const first = hadamardSigns(shape, 5).slice();
    for (let seed = 100; seed < 120; seed++) {
      expect(hadamardSigns(shape, seed)).not.toEqual(first); // and push the first out of the cache
    }
    expect(hadamardSigns(shape, 5)).toEqual(first);
    expect(hadamardSigns(shape, 5)).toBe(hadamardSigns(shape, 5));
  });
});

test.each([
  [1, 1],
  [1, 3],
  [2, 5],
  [3, 3],
  [4, 1],
  [5, 20],
  [16, 2],
  [33, 30],
  [70, 129],
  [300, 100],
])('vectors of %i numbers are projected to %i columns as by matrices', (D, F) => {
  const shape = { D, R: 2, F };
  const { columns, project } = hadamardProjection(shape, 3);
  const rows = normals(4 * D, D);
  const y = new Float64Array(2 * columns);
  project(rows, 1, 2, y);
  const columnsOf = hadamardColumns(hadamardSigns({ H: 1, ...shape }, 3), shape);
  const Dp = 2 ** Math.ceil(Math.log2(D));
  for (const row of [0, 1]) {
    const q = Array.from(rows.subarray((1 + row) * D, (2 + row) * D));
    const expected = [0, 1].flatMap((r) => columnsOf(q, 0, r)).map((x) => x * Dp);
    expected.forEach((x, i) => {
      expect(Math.abs(at(y, row * columns + i) - x)).toBeLessThan(1e-12 * Dp * Dp * Math.hypot(...q));
    });
  }
});

test('what was used last is kept, the rest let go', () => {
  const dropped: string[] = [];
  const made: string[] = [];
  const recent = new Recent<string>(2, (value) => dropped.push(value));
  const get = (key: string) =>
    recent.get(key, () => {
      made.push(key);
      return key.toUpperCase();
    });
  expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['A', 'B', 'A', 'C', 'A', 'B']);
  expect(made).toEqual(['a', 'b', 'c', 'b']);
  expect(dropped).toEqual(['B', 'C']);
});

/** By cosine: how often vectors share a bucket of m Gaussian directions. */
const GAUSSIAN: Record<number, Record<number, number>> = {
  0.5: { 8: 0.2325, 16: 0.173, 32: 0.1298, 64: 0.0982 },
  0.8: { 8: 0.4608, 16: 0.3999, 32: 0.3494, 64: 0.3073 },
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: measured, and near √½ by chance
  0.95: { 8: 0.7071, 16: 0.666, 32: 0.6298, 64: 0.5977 },
};

/** `count` pairs of unit vectors at cosine `rho`, one after the other, in D dimensions. */
function pairs(count: number, D: number, rho: number, seed: number): number[] {
  const source = normals(count * 2 * D, seed, false);
  return Array.from({ length: count }, (_, pair) => {
    const vector = (i: number) => Array.from(source.subarray((2 * pair + i) * D, (2 * pair + i + 1) * D));
    const unit = (x: number[]) => x.map((value) => value / Math.hypot(...x));
    const a = unit(vector(0));
    const raw = vector(1);
    const along = raw.reduce((sum, x, d) => sum + x * at(a, d), 0);
    const across = unit(raw.map((x, d) => x - along * at(a, d)));
    return [...a, ...a.map((x, d) => rho * x + Math.sqrt(1 - rho * rho) * at(across, d))];
  }).flat();
}

// Factors of one hash are hashes of their own; each is read off the bucket again.
test.each([{ factors: [16, 32, 64] }, { factors: [128] }])(
  'dense vectors collide as under Gaussian rotations, into $factors',
  async ({ factors }) => {
    const [H, R, D, count] = [8, 128, 64, 12];
    const cosines = Object.keys(GAUSSIAN).map(Number);
    const qk = Array.from({ length: H }, (_, h) =>
      cosines.flatMap((rho, i) => pairs(count, D, rho, 10 * h + i + 1)),
    ).flat();
    const L = cosines.length * count * 2;
    const tensor = tf.tidy(() => {
      const options = { rotation: 'hadamard', numHashes: R, numBuckets: factors, seed: 11 } as const;
      return lshBuckets(tf.tensor(qk, [H, L, D]), options);
    });
    const buckets = await tensor.data();
    tensor.dispose();
    let stride = 1;
    for (const f of factors) {
      const hits = cosines.map(() => 0);
      for (let i = 0; i < buckets.length; i += 2) {
        const [a, b] = [at(buckets, i), at(buckets, i + 1)].map((x) => Math.floor(x / stride) % f);
        const which = Math.floor((i % L) / (2 * count));
        hits[which] = at(hits, which) + Number(a === b);
      }
      for (const [i, rho] of cosines.entries()) {
        const expected = GAUSSIAN[rho]?.[f / 2] as number;
        const share = at(hits, i) / (H * R * count);
        expect(Math.abs(share - expected), `cosine ${rho}, ${f / 2} directions: ${share}`).toBeLessThan(
          0.015,
        );
      }
      stride *= f;
    }
  },
);

describe('plan', () => {
  const shape = { B: 2, H: 4, L: 1000, D: 80, E: 32 };
  const options = { numHashes: 2, numBuckets: [64, 258] };

  test('of the hash by signs', () => {
    const { forward, operations } = plan(shape, { ...options, rotation: 'hadamard' });
    const pass = forward[0]?.batches[0]?.passes[0];
    // Blocks of 128 columns: 16 tokens a workgroup. 32 + 129 columns: two blocks.
    expect(pass).toMatchObject({ kernel: 'hash/hadamard', workgroups: 8 * 2 * Math.ceil(1000 / 16) });
    expect(operations.hash).toBe(8 * 1000 * 2 * 2 * 3 * 128 * 7);
    expect(plan(shape, options).operations.hash).toBe(8 * 1000 * 2 * 2 * 80 * 161);
  });

  test('counts the bytes of the signs, not of rotations', () => {
    const bytes = plan(shape, { ...options, rotation: 'hadamard' }).bytes.scratch;
    const other = plan(shape, options).bytes.scratch;
    expect(other - bytes).toBe(4 * (4 * 80 * 2 * 161 - 4 * 2 * 2 * 3 * 128));
    const limits = {
      maxStorageBufferBindingSize: 2 ** 16,
      maxBufferSize: 2 ** 28,
      maxComputeWorkgroupsPerDimension: 65535,
    };
    expect(() => plan({ L: 64, D: 64 }, { numBuckets: 2 ** 14, rotation: 'hadamard' }, limits)).toThrow(
      /`signs` takes 393216 bytes, more than the 65536 .* Use factored buckets/,
    );
  });
});
