import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { LshCache, type LshCacheOptions, plan } from '../../src/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { BACKENDS, onBackend } from '../call.js';
import { appendTokens, bucketsOf, decode, pieces, type Sequence, tokensOf } from '../decode.js';
import { qkv } from '../inputs.js';
import { at } from '../oracle/shape.js';
import { pretend, pretendNothing } from './limits.js';

const SHAPE = { B: 2, H: 2, L: 80, D: 24, E: 40 };
const SEQUENCE: Sequence = { shape: SHAPE, ...qkv(SHAPE, 1), options: { numBuckets: 4, numHashes: 2 } };

function memory() {
  const { numTensors, numDataBuffers, ...rest } = tf.memory();
  const { numBytesInGPU } = rest as { numBytesInGPU?: number };
  return { numTensors, numDataBuffers, numDataIds: tf.backend().numDataIds(), numBytesInGPU };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test('steps leave nothing but the cache, and dispose nothing at all', async () => {
    await onBackend(backend, async () => {
      const sizes = pieces(SHAPE.L, 5, 3);
      await decode(SEQUENCE, sizes); // fills the pool
      const before = memory();
      const cache = new LshCache(SEQUENCE.options);
      const one = appendTokens(cache, SEQUENCE, 0, 5);
      tf.dispose(one);
      const held = tf.memory().numTensors;
      for (let i = 0; i < 30; i++) {
        tf.dispose(appendTokens(cache, SEQUENCE, 5 + i, 1));
        if (backend === 'webgpu') {
          expect(tf.memory().numTensors).toBe(held);
        }
      }
      cache.reorder([1, 0, 1]);
      cache.reorder([0, 2]);
      cache.reset();
      expect(memory()).toEqual(before);
      tf.dispose(appendTokens(cache, SEQUENCE, 0, 70)); // after a reset, another prefix
      tf.tidy(() => {
        appendTokens(cache, SEQUENCE, 70, 1); // what the cache holds outlives the tidy
      });
      tf.dispose(appendTokens(cache, SEQUENCE, 71, 1));
      expect(cache.length).toBe(72);
      cache.dispose();
      cache.dispose();
      expect(cache.length).toBe(0);
      expect(memory()).toEqual(before);
    });
  });

  describe('what throws leaves the cache as it was:', () => {
    const tensor = (...shape: number[]) => tf.ones(shape);
    const masked = (cache: LshCache, mask: tf.Tensor) =>
      cache.append(tensor(2, 2, 1, 24), tensor(2, 2, 1, 40), { mask });
    test.each<[string, (cache: LshCache) => unknown, ErrorConstructor, RegExp]>([
      [
        'another batch',
        (c) => c.append(tensor(3, 2, 1, 24), tensor(3, 2, 1, 40)),
        RangeError,
        /append: .*B=2, H=2, D=24, E=40, got B=3.*reorder\(\), or start anew with reset/,
      ],
      [
        'other heads',
        (c) => c.append(tensor(2, 1, 1, 24), tensor(2, 1, 1, 40)),
        RangeError,
        /got B=2, H=1.*\. Start anew/,
      ],
      ['another depth of keys', (c) => c.append(tensor(2, 2, 1, 8), tensor(2, 2, 1, 40)), RangeError, /D=8/],
      [
        'another depth of values',
        (c) => c.append(tensor(2, 2, 1, 24), tensor(2, 2, 1, 8)),
        RangeError,
        /E=8/,
      ],
      [
        'values of another length',
        (c) => c.append(tensor(2, 2, 1, 24), tensor(2, 2, 2, 40)),
        RangeError,
        /`v`/,
      ],
      [
        'no tokens',
        (c) => c.append(tensor(2, 2, 0, 24), tensor(2, 2, 0, 40)),
        RangeError,
        /one token at least/,
      ],
      [
        'too many tokens',
        (c) => c.append(tensor(2, 2, 11, 24), tensor(2, 2, 11, 40)),
        RangeError,
        /at most 80 \(`maxLength`\), got 70 \+ 11/,
      ],
      [
        'no tensor',
        (c) => c.append([[1]] as unknown as tf.Tensor, tensor(1, 1)),
        TypeError,
        /append: `qk` must be a tf.Tensor/,
      ],
      [
        'integers',
        (c) => c.append(tf.ones([2, 2, 1, 24], 'int32'), tensor(2, 2, 1, 40)),
        TypeError,
        /float32, got int32/,
      ],
      [
        'a mask of another shape',
        (c) => masked(c, tf.ones([2, 5], 'int32')),
        RangeError,
        /append: `mask`.*\[2,1\], got \[2,5\]/,
      ],
      ['a mask of numbers', (c) => masked(c, tensor(2, 1)), TypeError, /`mask`.*bool or int32/],
      [
        'an unknown option',
        (c) => c.append(tensor(2, 2, 1, 24), tensor(2, 2, 1, 40), { causal: true } as object),
        TypeError,
        /no option `causal`/,
      ],
      [
        'an entry beyond the batch',
        (c) => c.reorder([0, 2]),
        RangeError,
        /reorder: `indices\[1\]` must be an integer from 0 to 1, got 2/,
      ],
      ['an entry below the batch', (c) => c.reorder(tf.tensor1d([-1], 'int32')), RangeError, /got -1/],
      ['half an entry', (c) => c.reorder([0.5]), RangeError, /got 0.5/],
      ['no entries', (c) => c.reorder([]), RangeError, /at least, got none/],
      [
        'entries in two dimensions',
        (c) => c.reorder(tf.zeros([1, 1], 'int32')),
        RangeError,
        /\[B\], got \[1,1\]/,
      ],
      ['entries of float32', (c) => c.reorder(tensor(2)), TypeError, /int32, got float32/],
      [
        'entries that are none',
        (c) => c.reorder('01' as unknown as number[]),
        TypeError,
        /`indices` must be a tf.Tensor/,
      ],
    ])('%s', async (_, misuse, type, message) => {
      await onBackend(backend, async () => {
        const cache = new LshCache({ ...SEQUENCE.options, maxLength: SHAPE.L });
        tf.dispose(appendTokens(cache, SEQUENCE, 0, 70));
        const before = memory();
        let error: unknown;
        tf.tidy(() => {
          try {
            misuse(cache);
          } catch (thrown) {
            error = thrown;
          }
        });
        expect((error as Error | undefined)?.message).toMatch(message);
        expect((error as Error).constructor).toBe(type);
        expect((error as Error).message).toMatch(/^LshCache\.(append|reorder): /);
        expect(memory()).toEqual(before);
        expect(cache.length).toBe(70);
        const [out, lse] = appendTokens(cache, SEQUENCE, 70, 10);
        expect(await out.data()).toEqual(await untouched(backend));
        tf.dispose([out, lse]);
        cache.dispose();
      });
    });

    const lasts = new Map<string, Promise<unknown>>();
    /** What the last ten tokens get from a cache that nobody misused. */
    function untouched(on: string): Promise<unknown> {
      const last = lasts.get(on) ?? decodeLast();
      lasts.set(on, last);
      return last;
    }
    async function decodeLast() {
      const cache = new LshCache(SEQUENCE.options);
      tf.dispose(appendTokens(cache, SEQUENCE, 0, 70));
      const [out, lse] = appendTokens(cache, SEQUENCE, 70, 10);
      cache.dispose();
      const values = await out.data();
      tf.dispose([out, lse]);
      return values;
    }

    test('another backend', async () => {
      const other = backend === 'cpu' ? 'webgpu' : 'cpu';
      const cache = new LshCache(SEQUENCE.options);
      await onBackend(backend, async () => tf.dispose(appendTokens(cache, SEQUENCE, 0, 70)));
      await onBackend(other, async () => {
        const message = new RegExp(`lives on the backend '${backend}', and the current one is '${other}'`);
        expect(() => appendTokens(cache, SEQUENCE, 70, 10)).toThrow(message);
        expect(() => cache.reorder([0])).toThrow(message);
      });
      await onBackend(backend, async () => {
        const [out, lse] = appendTokens(cache, SEQUENCE, 70, 10);
        expect(await out.data()).toEqual(await untouched(backend));
        tf.dispose([out, lse]);
      });
      cache.reset();
      await onBackend(other, async () => tf.dispose(appendTokens(cache, SEQUENCE, 0, 3)));
      cache.dispose();
    });

    test('nothing goes after dispose, and no reorder before the first tokens', async () => {
      await onBackend(backend, async () => {
        const cache = new LshCache(SEQUENCE.options);
        expect(() => cache.reorder([0])).toThrow(/LshCache.reorder: the cache is empty/);
        tf.dispose(appendTokens(cache, SEQUENCE, 0, 3));
        cache.dispose();
        const before = memory();
        expect(() => appendTokens(cache, SEQUENCE, 3, 1)).toThrow(/append: the cache is disposed/);
        expect(() => cache.reorder([0])).toThrow(/reorder: the cache is disposed/);
        expect(() => cache.reset()).toThrow(/reset: the cache is disposed/);
        expect(memory()).toEqual(before);
      });
    });
  });
});

describe('a device of small limits', () => {
  afterEach(pretendNothing);

  async function reordered() {
    const cache = new LshCache(SEQUENCE.options);
    tf.dispose(appendTokens(cache, SEQUENCE, 0, 60));
    cache.reorder([1, 1, 0]);
    cache.reorder([0, 2]);
    const parts = [appendTokens(cache, SEQUENCE, 60, 1), appendTokens(cache, SEQUENCE, 61, 19)];
    cache.dispose();
    const values = await Promise.all(parts.flat().map((part) => part.data()));
    tf.dispose(parts.flat());
    return values;
  }

  test('rows go in batches, with the same bits', async () => {
    const [whole, beams] = [await decode(SEQUENCE, pieces(80, 60, 1)), await reordered()];
    for (const rows of [1, 3]) {
      // Room for 128 tokens: v, the largest, decides; a binding may begin 252 bytes early.
      pretend({ maxStorageBufferBindingSize: rows * 128 * SHAPE.E * 4 + 256 });
      expect(await decode(SEQUENCE, pieces(80, 60, 1))).toEqual(whole);
      expect(await reordered()).toEqual(beams);
    }
    pretend({ maxComputeWorkgroupsPerDimension: 3 });
    expect(await reordered()).toEqual(beams);
  });

  test('room ends where a buffer does, and what does not fit is refused', async () => {
    const whole = await decode(SEQUENCE, pieces(80, 60, 1));
    // Not the power of two that would follow 64, but what fits.
    pretend({ maxBufferSize: 4 * 80 * SHAPE.E * 4 });
    expect(await decode(SEQUENCE, pieces(80, 60, 1))).toEqual(whole);
    pretend({ maxBufferSize: 4 * 79 * SHAPE.E * 4 });
    const cache = new LshCache(SEQUENCE.options);
    tf.dispose(appendTokens(cache, SEQUENCE, 0, 79));
    const before = memory();
    const message = /append: the buffers of this device do not hold a cache of 80 tokens.*smaller batch/;
    expect(() => appendTokens(cache, SEQUENCE, 79, 1)).toThrow(message);
    expect(() => cache.reorder([0, 0, 1])).toThrow(/reorder: .* a cache of 79 tokens with B·H=6/);
    expect(memory()).toEqual(before);
    expect(cache.length).toBe(79);
    pretend({});
    const [out, lse] = appendTokens(cache, SEQUENCE, 79, 1);
    expect(await out.data()).toEqual(tokensOf(whole.out, 4, 80, 79, 1));
    tf.dispose([out, lse]);
    cache.dispose();
  });

  // In the hash, the forward pass of a first append, growth, and the step itself.
  test.each([
    [0, 1],
    [0, 4],
    [0, 7],
    [30, 1],
    [30, 4],
    [30, 9],
    [64, 2],
    [64, 4],
  ])('with %i tokens held, a device that fails at its bind group %i leaves these', async (held, n) => {
    const count = 80 - held;
    const cache = new LshCache(SEQUENCE.options);
    if (held > 0) {
      tf.dispose(appendTokens(cache, SEQUENCE, 0, held));
    }
    const { bufferManager } = tf.backend() as unknown as { bufferManager: { numUsedBuffers: number } };
    const state = () => ({ ...memory(), numBytesInGPU: 0, buffers: bufferManager.numUsedBuffers });
    const device = currentDevice();
    const { createBindGroup } = device;
    const before = state();
    let groups = 0;
    device.createBindGroup = (descriptor) => {
      groups++;
      if (groups === n) {
        throw new Error('no more groups');
      }
      return createBindGroup.call(device, descriptor);
    };
    try {
      expect(() => appendTokens(cache, SEQUENCE, held, count)).toThrow('no more groups');
    } finally {
      Reflect.deleteProperty(device, 'createBindGroup');
    }
    expect(state()).toEqual(before);
    expect(cache.length).toBe(held);
    const [out, lse] = appendTokens(cache, SEQUENCE, held, count);
    const whole = await decode(SEQUENCE, held > 0 ? [held, count] : [count]);
    expect(await out.data()).toEqual(tokensOf(whole.out, 4, 80, held, count));
    tf.dispose([out, lse]);
    cache.dispose();
  });
});

describe('work', () => {
  // An add and a multiply are two, a link followed and a bucket compared one each.
  test.each([1024, 4096])('a step at %i costs at most 8/L of the forward pass', async (L) => {
    const shape = { B: 1, H: 1, L, D: 64, E: 64 };
    const [R, D, E] = [4, 64, 64];
    const { settings } = plan(shape, { numHashes: R }); // the number of buckets that the op would take
    const { N, F } = settings;
    const options = { numHashes: R, numBuckets: N };
    const buckets = await bucketsOf({ shape, ...qkv(shape, 3), options });
    const hash = 2 * R * D * F;
    let forward = 0;
    const steps: number[] = [];
    for (let i = 0; i < L; i++) {
      let visits = 0;
      let compared = 0;
      const seen = new Set<number>();
      for (let r = 0; r < R; r++) {
        for (let j = i - 1; j >= 0; j--) {
          if (at(buckets, r * L + j) === at(buckets, r * L + i)) {
            visits++;
            compared += r;
            seen.add(j);
          }
        }
      }
      // The forward pass hashes each token, and gives each pair one product and one weighted value.
      forward += hash + 2 * seen.size * (D + E);
      // A step does so too, but also follows links, tells what it met before, and makes each key anew.
      steps.push(hash + visits + compared + seen.size * (2 * D + 2 * D + 2 * E) + 2 * D);
    }
    const last = steps.slice(-64);
    const worst = Math.max(...last);
    console.info(`L=${L}, N=${N}: forward ${forward}, step ${worst}: ${(forward / worst / L).toFixed(3)}·L`);
    expect(forward / worst).toBeGreaterThan(L / 8);
  });

  /** Kernels of tfjs that 300 single steps run, with the last axes but one of what they return. */
  async function kernelsOf(backend: string) {
    const shape = { B: 1, H: 1, L: 300, D: 2, E: 3 };
    const sequence: Sequence = { shape, ...qkv(shape, 5), options: { numBuckets: 2, numHashes: 1 } };
    return await onBackend(backend as 'cpu', async () => {
      const { kernels } = await tf.profile(async () => {
        await decode(sequence, Array<number>(300).fill(1));
        return tf.scalar(0);
      });
      return kernels;
    });
  }

  test('on webgpu the cache moves when it doubles, not at a step', async () => {
    const kernels = await kernelsOf('webgpu');
    const count = (name: string) => kernels.filter((kernel) => kernel.name === name).length;
    expect(count('LshCacheAppend')).toBe(300);
    expect(count('LshCacheMove')).toBe(4); // room for 64, 128, 256 and 512
  });

  test('elsewhere a token is copied once for each doubling', async () => {
    const kernels = await kernelsOf('cpu');
    const copied = kernels
      .filter(({ name }) => name === 'Concat')
      .map(({ outputShapes }) => outputShapes[0] as number[])
      .filter((shape) => shape.length === 4 && shape[3] === 3) // the values
      .reduce((sum, shape) => sum + (shape[2] as number), 0);
    expect(copied).toBeGreaterThan(300);
    expect(copied).toBeLessThan(300 * (Math.log2(300) + 1) + 300); // and 300 more to join the results
  });
});

describe('options', () => {
  const make = (options: object) => () => new LshCache(options as LshCacheOptions);
  test.each<[string, object, ErrorConstructor, RegExp]>([
    ['none', {}, RangeError, /^LshCache: `numBuckets` must be given.*`maxLength`/],
    ['an odd number of buckets', { numBuckets: 7 }, RangeError, /^LshCache: `numBuckets`.*got 7. Try 8/],
    ['no buckets', { numBuckets: null, maxLength: 8 }, TypeError, /`numBuckets`.*got null/],
    ['no rounds', { numBuckets: 4, numHashes: 0 }, RangeError, /`numHashes`.*got 0/],
    ['no length', { numBuckets: 4, maxLength: 0 }, RangeError, /`maxLength`.*from 1 to 16777216, got 0/],
    ['a seed below 0', { numBuckets: 4, seed: -1 }, RangeError, /`seed`/],
    ['no scale', { numBuckets: 4, scale: 0 }, RangeError, /`scale`/],
    [
      'an option of the op alone',
      { numBuckets: 4, causal: true },
      TypeError,
      /no option `causal`.*maxLength/,
    ],
    [
      'rotations that are none',
      { numBuckets: 4, rotations: [1] },
      TypeError,
      /`rotations` must be a tf.Tensor/,
    ],
    ['no object', 5 as unknown as object, TypeError, /`options` must be an object/],
  ])('%s', (_, options, type, message) => {
    const before = tf.memory().numTensors;
    expect(make(options)).toThrow(message);
    expect(make(options)).toThrow(type);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('rotations of another shape', () => {
    const rotations = tf.zeros([1, 24, 3, 2]);
    const options = { numBuckets: 4, numHashes: 2, rotations };
    expect(make(options)).toThrow(/^LshCache: `rotations`.*\[1,24,2,2\], got \[1,24,3,2\]/);
    rotations.dispose();
  });

  test('rotations of another depth than the tokens', () => {
    const rotations = tf.zeros([1, 8, 2, 2]);
    const cache = new LshCache({ numBuckets: 4, numHashes: 2, rotations });
    expect(() => appendTokens(cache, SEQUENCE, 0, 1)).toThrow(/append: `rotations`.*\[1,24,2,2\]/);
    tf.dispose(rotations);
    cache.dispose();
  });

  test('buckets by the rule of the op, for the largest length', () => {
    const cases: LshCacheOptions[] = [
      { maxLength: 4096 },
      { maxLength: 1000, chunkLength: 16 },
      { maxLength: 2 ** 20, numHashes: 1024 },
    ];
    for (const options of cases) {
      const { maxLength: L = 0, chunkLength } = options;
      const { factors } = plan({ L, D: 8 }, chunkLength === undefined ? {} : { chunkLength }).settings;
      const cache = new LshCache(options);
      expect(cache.numBuckets).toEqual(factors);
      cache.dispose();
    }
  });
});
