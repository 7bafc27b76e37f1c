import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type LshAttentionOptions, lshAttention, lshAttentionWithLse, presets } from '../../src/index.js';
import { largestError, largestOf } from '../accuracy.js';
import {
  BACKENDS,
  type Case,
  call,
  callGradient,
  checkGradient,
  expectGradientOracle,
  onBackend,
} from '../call.js';
import { integers, normals, qkv, uniform } from '../inputs.js';
import { at, type Letters } from '../oracle/shape.js';

const SHAPE: Letters = { B: 1, H: 2, L: 37, D: 24, E: 40 };

/** A case of seeded inputs. */
function of(shape: Partial<Letters>, options: Case['options'] = {}, seed = 1): Case {
  const letters = { ...SHAPE, ...shape };
  const given = { chunkLength: 16, numHashes: 3, numBuckets: 6, ...options };
  return { shape: letters, ...qkv(letters, seed), options: given };
}

const weightsOf = ({ B, H, L, E }: Letters) => normals(B * H * L * E, 5);

describe.each(BACKENDS)('on %s', (backend) => {
  test.each([1, 2, 16, 33, 65])('length %i', async (L) => {
    await checkGradient(backend, of({ L }));
  });

  test.each([1, 5, 33, 1000])('chunks of %i', async (chunkLength) => {
    await checkGradient(backend, of({}, { chunkLength }));
  });

  // Each pair is other arrays in registers.
  const ofDepths = async (D: number, E: number) => {
    await checkGradient(backend, of({ H: 1, D, E }, { numHashes: 2 }));
  };
  test('D=3, E=1', () => ofDepths(3, 1));
  test.each([
    [72, 80],
    [256, 64],
  ])('D=%i, E=%i', { tags: ['deep'] }, ofDepths);

  test.each([1, 2, 8])('%i rounds', async (numHashes) => {
    await checkGradient(backend, of({ H: 1 }, { numHashes }));
  });

  test.each([[0, 0] as const, [0, 2] as const, [2, 1] as const, [1000, 2000] as const])(
    '%i chunks before, %i after',
    async (chunksBefore, chunksAfter) => {
      await checkGradient(backend, of({}, { chunkLength: 7, chunksBefore, chunksAfter }));
    },
  );

  test.each([
    { causal: true },
    { causal: true, acrossBuckets: false },
    { duplicates: 'count', acrossBuckets: false },
    { ...presets.reformer, causal: true },
    { ...presets.reformer, chunksBefore: 4, chunksAfter: 3, numHashes: 2 },
  ] satisfies Case['options'][])('%o', async (options) => {
    await checkGradient(backend, of({ L: 48 }, options));
  });

  test.each([0.01, 3, '1/sqrt(D)'] as const)('scale %s', async (scale) => {
    await checkGradient(backend, of({}, { scale }));
  });

  describe('masks', () => {
    const L = SHAPE.L;
    const patterns: Record<string, (token: number, b: number) => boolean> = {
      'position 0': (token) => token !== 0,
      everything: () => false,
      'all but two': (token) => token === 5 || token === 30,
      'one batch row wholly': (_, b) => b === 1,
      'other tokens in each batch row': (token, b) => (token * 7 + b * 3) % 5 > 1,
    };
    const maskOf = (name: string) =>
      Int32Array.from({ length: 2 * L }, (_, i) => Number(patterns[name]?.(i % L, Math.floor(i / L))));

    test.each(Object.keys(patterns))('padding at %s', async (name) => {
      const mask = maskOf(name);
      await checkGradient(backend, { ...of({ B: 2, H: 1 }), mask });
      await checkGradient(backend, { ...of({ B: 2, H: 1 }, { causal: true, chunkLength: 4 }), mask });
    });

    test('beside given buckets, by which padding stands among the tokens', async () => {
      const mask = maskOf('other tokens in each batch row');
      const buckets = integers(2 * 3 * L, 6, 4);
      await checkGradient(backend, { ...of({ B: 2, H: 1 }, { causal: true }), buckets, mask });
    });

    test('as the last bucket of given ones', async () => {
      const padded = integers(L, 5, 8).map((x) => Number(x === 0));
      const bucketOf = integers(2 * 3 * L, 6, 4);
      const buckets = bucketOf.map((bucket, i) => (padded[i % L] === 1 ? 6 : bucket));
      const given = await checkGradient(backend, { ...of({}), buckets });
      const mask = padded.map((x) => 1 - x);
      expect(await checkGradient(backend, { ...of({}), buckets, mask })).toEqual(given);
    });
  });

  describe('awkward values', () => {
    test('all-equal vectors', async () => {
      const inputs = of({});
      await checkGradient(backend, { ...inputs, qk: inputs.qk.map((_, i) => at(inputs.qk, i % SHAPE.D)) });
    });

    test('zero vectors', async () => {
      const inputs = of({});
      await checkGradient(backend, { ...inputs, qk: inputs.qk.map(() => 0) });
      const some = inputs.qk.map((x, i) => (Math.floor(i / SHAPE.D) % 3 ? x : 0));
      await checkGradient(backend, { ...inputs, qk: some });
    });

    test('zero values, and values that repeat in every token', async () => {
      const inputs = of({});
      await checkGradient(backend, { ...inputs, v: inputs.v.map(() => 0) });
      const v = inputs.v.map((_, i) => (i % SHAPE.E) - 7);
      await checkGradient(backend, { ...inputs, v });
    });

    test('one outlier of 1e4', async () => {
      const inputs = of({});
      inputs.v[1000] = -1e4;
      await checkGradient(backend, inputs);
      inputs.qk[1000] = 1e4;
      await checkGradient(backend, inputs);
    });

    test.each([1e-18, 1e-3, 30, 1e3])('queries of %f', async (magnitude) => {
      const inputs = of({});
      await checkGradient(backend, { ...inputs, qk: inputs.qk.map((x) => x * magnitude) });
    });

    test.each([1e9, 1e18])('queries of %f give finite gradients', async (magnitude) => {
      const next = uniform(5);
      const inputs = of({});
      const qk = inputs.qk.map(() => (2 * next() - 1) * magnitude);
      const { dqk, dv } = await callGradient(backend, { ...inputs, qk }, weightsOf(SHAPE));
      expect(dqk.every(Number.isFinite)).toBe(true);
      expect(dv.every(Number.isFinite)).toBe(true);
      // No weight is above 1.
      const most = Array.from({ length: SHAPE.E }, () => 0);
      for (const [i, x] of weightsOf(SHAPE).entries()) {
        most[i % SHAPE.E] = at(most, i % SHAPE.E) + Math.abs(x);
      }
      expect(dv.every((x, i) => Math.abs(x) <= 1.001 * at(most, i % SHAPE.E))).toBe(true);
    });
  });

  test('of the output alone, and of the log-sum-exp alone', async () => {
    const inputs = of({}, { causal: true });
    const { B, H, L, E } = SHAPE;
    const dOut = weightsOf(SHAPE);
    const ofOut = await callGradient(backend, inputs, dOut);
    expectGradientOracle(inputs, ofOut, { dOut });
    const from = { dOut: new Float32Array(B * H * L * E), dLse: normals(B * H * L, 3) };
    const ofLse = await callGradient(backend, inputs, from.dOut, from.dLse);
    expectGradientOracle(inputs, ofLse, from);
    expect(largestOf(ofLse.dqk)).toBeGreaterThan(0.1);
    expect(largestOf(ofLse.dv)).toBe(0);
  });

  test('row 0 of a causal sequence hands its gradient to its own v', async () => {
    // One round, own bucket only: v_0 is seen by no one else where its bucket has but one token.
    const buckets = Int32Array.from({ length: 2 * SHAPE.L }, (_, i) => Number(i % SHAPE.L > 0));
    const inputs = of({}, { causal: true, acrossBuckets: false, numHashes: 1 });
    const dOut = weightsOf(SHAPE);
    const { dqk, dv } = await callGradient(backend, { ...inputs, buckets }, dOut, normals(2 * SHAPE.L, 3));
    expect(dv.subarray(0, SHAPE.E)).toEqual(dOut.subarray(0, SHAPE.E));
    expect(dqk.subarray(0, SHAPE.D).every((x) => x === 0)).toBe(true);
  });

  test('is the finite differences of the op', async () => {
    const shape = { B: 1, H: 1, L: 7, D: 3, E: 2 };
    const options = { chunkLength: 3, numHashes: 2, numBuckets: 4 };
    const buckets = integers(2 * 7, 4, 3);
    const inputs = { shape, qk: normals(21, 1, false), v: normals(14, 2, false), buckets, options };
    const from = { dOut: normals(14, 3, false), dLse: normals(7, 4, false) };
    const loss = async (moved: Partial<Case>) => {
      const { out, lse } = await call(backend, { ...inputs, ...moved });
      const ofOut = out.reduce((sum, x, i) => sum + x * at(from.dOut, i), 0);
      return lse.reduce((sum, x, i) => sum + x * at(from.dLse, i), ofOut);
    };
    const { dqk, dv } = await callGradient(backend, inputs, from.dOut, from.dLse);
    const gradients = { qk: dqk, v: dv };
    for (const name of ['qk', 'v'] as const) {
      for (const [i, x] of inputs[name].entries()) {
        const step = 2 ** -7;
        const moved = (by: number) => loss({ [name]: inputs[name].map((y, n) => (n === i ? x + by : y)) });
        const difference = ((await moved(step)) - (await moved(-step))) / (2 * step);
        expect(Math.abs(at(gradients[name], i) - difference)).toBeLessThan(1e-3);
      }
    }
  });

  test('the same bits on two runs', async () => {
    const inputs = of({ L: 100 });
    const dOut = weightsOf(inputs.shape);
    const first = await callGradient(backend, inputs, dOut);
    expect(await callGradient(backend, inputs, dOut)).toEqual(first);
  });

  test('of ranks 2, 3 and 4 the same', async () => {
    const inputs = of({ H: 1 });
    const { L, D, E } = SHAPE;
    const dOut = weightsOf(inputs.shape);
    const expected = await callGradient(backend, inputs, dOut);
    await onBackend(backend, async () => {
      for (const axes of [[], [1], [1, 1]]) {
        const [dqk, dv] = tf.tidy(() => {
          const weights = tf.tensor(dOut, [...axes, L, E]);
          return tf.grads((qk: tf.Tensor, v: tf.Tensor) =>
            tf.sum(tf.mul(lshAttention(qk, v, inputs.options), weights)),
          )([tf.tensor(inputs.qk, [...axes, L, D]), tf.tensor(inputs.v, [...axes, L, E])]);
        }) as [tf.Tensor, tf.Tensor];
        expect(dqk.shape).toEqual([...axes, L, D]);
        expect(dv.shape).toEqual([...axes, L, E]);
        expect(await dqk.data()).toEqual(expected.dqk);
        expect(await dv.data()).toEqual(expected.dv);
        tf.dispose([dqk, dv]);
      }
    });
  });

  test('of one input alone, and of one tensor that is both', async () => {
    const inputs = of({ E: 24 });
    const x = { ...inputs, v: inputs.qk };
    const { B, H, L, D } = inputs.shape;
    const dOut = weightsOf(inputs.shape);
    const expected = await callGradient(backend, x, dOut);
    await onBackend(backend, async () => {
      const results = tf.tidy(() => {
        const qk = tf.tensor(x.qk, [B, H, L, D]);
        const other = tf.tensor(x.qk, [B, H, L, D]);
        const weights = tf.tensor(dOut, [B, H, L, D]);
        const loss = (qk: tf.Tensor, v: tf.Tensor) => tf.sum(tf.mul(lshAttention(qk, v, x.options), weights));
        return [
          tf.grad((y) => loss(y, other))(qk),
          tf.grad((y) => loss(other, y))(qk),
          tf.grad((y) => loss(y, y))(qk),
        ];
      });
      const [ofQk, ofV, ofBoth] = (await Promise.all(results.map((y) => y.data()))) as Float32Array[];
      expect(ofQk).toEqual(expected.dqk);
      expect(ofV).toEqual(expected.dv);
      const sum = expected.dqk.map((y, i) => y + at(expected.dv, i));
      expect(largestError(ofBoth as Float32Array, sum)).toBeLessThan(1e-6 * largestOf(sum));
      tf.dispose(results);
    });
  });

  test('goes on through what made the inputs, in an optimizer', async () => {
    await onBackend(backend, async () => {
      const { L, D } = SHAPE;
      const optimizer = tf.train.adam(0.05);
      const x = tf.tensor(normals(L * D, 1, false), [L, D]);
      const target = tf.tensor(normals(L * D, 2, false), [L, D]);
      const kernels = [3, 4].map((seed) => tf.variable(tf.tensor(normals(D * D, seed, false), [D, D])));
      const losses: number[] = [];
      for (let step = 0; step < 6; step++) {
        const loss = optimizer.minimize(
          () => {
            const [qk, v] = kernels.map((kernel) => tf.matMul(x, tf.mul(kernel, D ** -0.5))) as [
              tf.Tensor,
              tf.Tensor,
            ];
            const out = lshAttention(qk, v, { chunkLength: 16, numHashes: 3, numBuckets: 6 });
            return tf.mean(tf.square(tf.sub(out, target)));
          },
          true,
          kernels,
        ) as tf.Scalar;
        losses.push((await loss.data())[0] as number);
        loss.dispose();
      }
      for (const n of [1, 2, 3, 4, 5]) {
        expect(at(losses, n)).toBeLessThan(at(losses, n - 1));
      }
      tf.dispose([x, target, ...kernels]);
      optimizer.dispose();
    });
  });

  test('twenty gradients leave nothing', async () => {
    await onBackend(backend, async () => {
      const { D, E } = SHAPE;
      const L = 20;
      const qk = tf.tensor(normals(2 * L * D, 1), [2, L, D]);
      const v = tf.tensor(normals(2 * L * E, 2), [2, L, E]);
      const mask = tf.tensor(integers(L, 4, 1), [1, L], 'int32');
      const buckets = tf.tensor(integers(2 * 3 * L, 6, 1), [1, 2, 3, L], 'int32');
      const once = async (options: LshAttentionOptions) => {
        const gradients = tf.grads((qk: tf.Tensor, v: tf.Tensor) => {
          const { out, lse } = lshAttentionWithLse(qk, v, { ...of({}).options, ...options });
          return tf.add(tf.sum(out), tf.sum(lse));
        })([qk, v]);
        await Promise.all(gradients.map((x) => x.data()));
        tf.dispose(gradients);
      };
      const all = async () => {
        for (const options of [{}, { mask }, { buckets }, { buckets, mask }]) {
          await once(options);
        }
      };
      await all(); // uploads the inputs and fills the pool
      await all();
      const before = memory();
      for (let i = 0; i < 5; i++) {
        await all();
      }
      expect(memory()).toEqual(before);
      tf.dispose([qk, v, mask, buckets]);
    });
  });
});

function memory() {
  const { numTensors, numDataBuffers, ...rest } = tf.memory();
  const { numBytesInGPU } = rest as { numBytesInGPU?: number };
  return { numTensors, numDataBuffers, numDataIds: tf.backend().numDataIds(), numBytesInGPU };
}

test("the kernels' gradient is the one that tfjs derives from the composed path", async () => {
  for (const options of [{}, { causal: true, acrossBuckets: false }]) {
    const inputs = of({ B: 2, L: 70 }, options);
    const from = [weightsOf(inputs.shape), normals(2 * 2 * 70, 8)] as const;
    const first = await callGradient('webgpu', inputs, ...from);
    const second = await callGradient('cpu', { ...inputs, buckets: first.buckets }, ...from);
    expect(largestError(second.dqk, first.dqk)).toBeLessThanOrEqual(1e-5 * largestOf(first.dqk));
    expect(largestError(second.dv, first.dv)).toBeLessThanOrEqual(1e-5 * largestOf(first.dv));
  }
});

test('the kernels have no second derivatives, and say so', async () => {
  await onBackend('webgpu', async () => {
    const x = tf.tensor(normals(20 * 4, 1), [20, 4]);
    const loss = (y: tf.Tensor) => tf.sum(lshAttention(y, y));
    const twice = tf.grad((y) => tf.sum(tf.square(tf.grad(loss)(y))));
    expect(() => twice(x)).toThrow(/lshAttention: there are no second derivatives/);
    x.dispose();
  });
});
