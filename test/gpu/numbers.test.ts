/** Numbers from 1e-18 to 1e18, and denormal ones: results are finite, are averages of values, and where float32 can tell, the oracle's. */
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  denseAttention,
  type LshAttentionOptions,
  LshCache,
  localAttention,
  lshAttention,
  scaledDotProductAttention,
} from '../../src/index.js';
import { expectAsExactAsFloat32 } from '../accuracy.js';
import { BACKENDS, type Case, check, checkGradient, onBackend } from '../call.js';
import { uniform } from '../inputs.js';
import { FACTORIES, type Maker } from '../models.js';
import { dense } from '../oracle/dense.js';
import { dotProduct } from '../oracle/dotProduct.js';
import { local } from '../oracle/local.js';
import { at, type Numbers, toFloat32 } from '../oracle/shape.js';

const SHAPE = { B: 1, H: 2, L: 24, D: 16, E: 12 };
/** Random magnitudes; fast-check prints the seed of a failure. LSH_CASES=1000 takes minutes. */
const CASES = Number(process.env.LSH_CASES ?? 10);
const LEAST_NORMAL = 1.2e-38; // GPUs may flush what is smaller to zero

interface Inputs {
  readonly qk: Float32Array;
  readonly v: Float32Array;
  /** What float32 can tell: which keys win, and beyond it the weights of the others; or nothing of it. */
  readonly tells: 'weights' | 'winners' | 'nothing';
}

/** Numbers from -m to m, for two heads. */
function spread(width: number, m: number, seed: number): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length: 2 * SHAPE.L * width }, () => (2 * next() - 1) * m);
}

/** Inputs by what is awkward of them. */
function inputsOf({ D, E } = SHAPE): Record<string, Inputs> {
  const oneOf = (width: number, m: number, outlier: number, seed: number) => {
    const values = spread(width, m, seed);
    values[7 * width + 3] = outlier;
    return values;
  };
  const equal = (width: number, m: number) => spread(width, m, 9).map((_, i, all) => at(all, i % width));
  const anySize = (width: number, seed: number) => {
    const next = uniform(seed);
    return spread(width, 1, seed + 1).map((x) => x * 10 ** (36 * next() - 18));
  };
  return {
    'all tiny': { qk: spread(D, 1e-18, 1), v: spread(E, 1e-18, 2), tells: 'weights' },
    'tiny queries': { qk: spread(D, 1e-18, 1), v: spread(E, 1, 2), tells: 'weights' },
    'huge values': { qk: spread(D, 1, 1), v: spread(E, 1e18, 2), tells: 'weights' },
    'huge queries': { qk: spread(D, 1e18, 1), v: spread(E, 1, 2), tells: 'nothing' },
    'all huge': { qk: spread(D, 1e18, 1), v: spread(E, 1e18, 2), tells: 'nothing' },
    'all equal and huge': { qk: equal(D, 1e18), v: equal(E, 1e18), tells: 'winners' },
    'one huge among tiny': { qk: oneOf(D, 1e-18, 1e18, 1), v: oneOf(E, 1e-18, 1e18, 2), tells: 'winners' },
    'one huge among common': { qk: oneOf(D, 1, -1e18, 1), v: oneOf(E, 1, 1e18, 2), tells: 'winners' },
    denormal: { qk: spread(D, 1e-40, 1), v: spread(E, 1e-40, 2), tells: 'nothing' },
    'of any size': { qk: anySize(D, 1), v: anySize(E, 5), tells: 'nothing' },
  };
}
const INPUTS = inputsOf();

/** Each output is finite, and lies between the smallest and the largest value of its column and row. */
function expectAverages(out: Numbers, v: Float32Array, { L, E }: typeof SHAPE): void {
  for (let column = 0; column < 2 * E; column++) {
    const [row, e] = [Math.floor(column / E), column % E];
    const ofColumn = (values: Numbers) =>
      Array.from({ length: L }, (_, i) => at(values, (row * L + i) * E + e));
    const [least, most] = [Math.min(...ofColumn(v)), Math.max(...ofColumn(v))];
    const slack = 1e-5 * Math.max(-least, most) + LEAST_NORMAL;
    const found = ofColumn(out);
    expect(found.every(Number.isFinite), 'finite outputs').toBe(true);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(least - slack);
    expect(Math.max(...found)).toBeLessThanOrEqual(most + slack);
  }
}

const LSH: Record<string, LshAttentionOptions> = {
  'chunks, a key once': {},
  'chunks, every round': { duplicates: 'count', causal: true },
  'chunks, wrapping': { duplicates: 'count', roundBoundary: 'wrap', acrossBuckets: false },
  'buckets, a key once': { window: 'bucket', causal: true },
  'buckets, every round': { window: 'bucket', duplicates: 'count' },
};
const BASE = { chunkLength: 8, numHashes: 3, numBuckets: 4 };

type Attend = (qk: tf.Tensor, v: tf.Tensor) => tf.Tensor;
type Exactly = (qk: Numbers, v: Numbers, round?: (x: number) => number) => Float64Array;
const OTHERS: Record<string, { readonly attend: Attend; readonly exactly: Exactly }> = {
  denseAttention: {
    attend: (qk, v) => denseAttention(qk, v, { causal: true }),
    exactly: (qk, v, round) => dense(qk, v, SHAPE, { causal: true }, round).out,
  },
  scaledDotProductAttention: {
    attend: (qk, v) => scaledDotProductAttention(qk, qk, v),
    exactly: (qk, v, round) => dotProduct(qk, qk, v, { ...SHAPE, Lk: SHAPE.L }, {}, round).out,
  },
  localAttention: {
    attend: (qk, v) => localAttention(qk, qk, v, { chunkLength: 8 }),
    exactly: (qk, v, round) => local(qk, qk, v, SHAPE, { C: 8, scale: 0.25 }, round),
  },
};

/** Values, and the gradients of their sum with weights of either sign. */
async function valuesAndGradients(attend: Attend, { qk, v }: Inputs, { L, D, E } = SHAPE) {
  const tensors = tf.tidy(() => {
    const inputs = [tf.tensor(qk, [1, 2, L, D]), tf.tensor(v, [1, 2, L, E])] as [tf.Tensor, tf.Tensor];
    const next = uniform(3);
    const weights = tf.tensor(
      Float32Array.from({ length: 2 * L * E }, () => 2 * next() - 1),
      [1, 2, L, E],
    );
    const loss = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.mul(attend(x, y), weights));
    return [attend(...inputs), ...tf.grads(loss)(inputs)];
  });
  const [out, dqk, dv] = await Promise.all(tensors.map((tensor) => tensor.data()));
  tf.dispose(tensors);
  return { out, dqk, dv } as { out: Numbers; dqk: Numbers; dv: Numbers };
}

function expectFinite(values: Record<string, Numbers>): void {
  for (const [name, numbers] of Object.entries(values)) {
    const wrong = Array.from(numbers).findIndex((x) => !Number.isFinite(x));
    expect(wrong, `first of ${name} that is not finite`).toBe(-1);
  }
}

describe.each(BACKENDS)('on %s', (backend) => {
  describe.each(Object.keys(INPUTS))('%s', (kind) => {
    const inputs = INPUTS[kind] as Inputs;

    test.each(Object.keys(LSH))('lshAttention: %s', async (mode) => {
      const options = { ...BASE, ...LSH[mode] };
      const { mask: _m, rotations: _r, buckets: _b, ...plain } = options;
      const one: Case = { shape: SHAPE, qk: inputs.qk, v: inputs.v, options: plain };
      await onBackend(backend, async () => {
        const { out, dqk, dv } = await valuesAndGradients((qk, v) => lshAttention(qk, v, options), inputs);
        expectAverages(out, inputs.v, SHAPE);
        expectFinite({ dqk, dv });
      });
      if (inputs.tells !== 'nothing') {
        await check(backend, one);
      }
      if (inputs.tells === 'weights') {
        await checkGradient(backend, one);
      }
    });

    test.each(Object.keys(OTHERS))('%s', async (name) => {
      const { attend, exactly } = OTHERS[name] as (typeof OTHERS)[string];
      const { out, dqk, dv } = await onBackend(backend, () => valuesAndGradients(attend, inputs));
      expectAverages(out, inputs.v, SHAPE);
      expectFinite({ dqk, dv });
      if (inputs.tells !== 'nothing') {
        const exact = exactly(inputs.qk, inputs.v);
        expectAsExactAsFloat32(out, exact, exactly(inputs.qk, inputs.v, toFloat32), 'out');
      }
    });

    test('LshCache', async () => {
      const { L, D, E } = SHAPE;
      await onBackend(backend, async () => {
        const cache = new LshCache({ numBuckets: 4, numHashes: 3 });
        const out = tf.tidy(() => {
          const [qk, v] = [tf.tensor(inputs.qk, [2, L, D]), tf.tensor(inputs.v, [2, L, E])];
          const parts = [14, 1, 1, 8].map((count) => {
            const part = (x: tf.Tensor) => tf.slice(x, [0, cache.length, 0], [2, count, -1]);
            return cache.append(part(qk), part(v));
          });
          return tf.concat(parts, 1);
        });
        expectAverages(await out.data(), inputs.v, SHAPE);
        const options = { window: 'bucket', causal: true, numBuckets: 4, numHashes: 3 } as const;
        if (inputs.tells !== 'nothing') {
          const whole = await check(backend, { shape: SHAPE, qk: inputs.qk, v: inputs.v, options });
          const size = Math.max(...whole.out.map(Math.abs));
          expect(Math.max(...(await out.data()).map((x, i) => Math.abs(x - at(whole.out, i))))).toBeLessThan(
            1e-5 * size,
          );
        }
        cache.dispose();
        out.dispose();
      });
    });
  });

  test.each(['huge queries', 'all huge'])('%s, at the largest depth', { tags: ['deep'] }, async (kind) => {
    const shape = { ...SHAPE, D: 256, E: 64 }; // of which other tests have compiled the kernels
    const inputs = inputsOf(shape)[kind] as Inputs;
    await onBackend(backend, async () => {
      const attend: Attend = (qk, v) => lshAttention(qk, v, BASE);
      const { out, dqk, dv } = await valuesAndGradients(attend, inputs, shape);
      expectAverages(out, inputs.v, shape);
      expectFinite({ dqk, dv });
    });
  });

  test(`${CASES} cases of any magnitude`, async () => {
    const attends = [
      ...Object.values(LSH).map(
        (options): Attend =>
          (qk, v) =>
            lshAttention(qk, v, { ...BASE, ...options }),
      ),
      ...Object.values(OTHERS).map(({ attend }) => attend),
    ];
    const exponent = fc.integer({ min: -180, max: 180 }).map((tenths) => 10 ** (tenths / 10));
    const which = fc.nat(attends.length - 1);
    const property = fc.asyncProperty(
      which,
      exponent,
      exponent,
      fc.nat(2 ** 31),
      async (i, ofQk, ofV, seed) => {
        const [qk, v] = [spread(SHAPE.D, ofQk, seed), spread(SHAPE.E, ofV, seed + 1)];
        const inputs = { qk, v, tells: 'nothing' } as const;
        const { out, dqk, dv } = await valuesAndGradients(attends[i] as Attend, inputs);
        expectAverages(out, v, SHAPE);
        expectFinite({ dqk, dv });
      },
    );
    await onBackend(backend, () => fc.assert(property, { numRuns: CASES }));
  }, 3_600_000);

  test.each([
    [
      'scaledDotProductAttention',
      (qk: tf.Tensor, v: tf.Tensor) => scaledDotProductAttention(qk, qk, v, { scale: 2 ** 53 }),
    ],
    ['denseAttention', (qk: tf.Tensor, v: tf.Tensor) => denseAttention(qk, v, { scale: 2 ** 53 })],
    ['lshAttention', (qk: tf.Tensor, v: tf.Tensor) => lshAttention(qk, v, { ...BASE, scale: 2 ** 53 })],
    [
      'localAttention, dropout',
      (qk: tf.Tensor, v: tf.Tensor) =>
        localAttention(qk, qk, v, { chunkLength: 8, scale: 2 ** 53, dropout: 0.5 }),
    ],
  ] as const)('a huge scale: %s', async (name, attend) => {
    for (const kind of ['huge queries', 'one huge among common', 'of any size']) {
      const inputs = INPUTS[kind] as Inputs;
      const { out, dqk, dv } = await onBackend(backend, () => valuesAndGradients(attend, inputs));
      expectFinite({ [`out, ${kind}`]: out });
      if (!name.includes('dropout')) {
        expectAverages(out, inputs.v, SHAPE);
      }
      expectFinite({ [`dv, ${kind}`]: dv });
      if (kind === 'huge queries') {
        expectFinite({ dqk }); // others have slopes beyond any float
      }
    }
  });

  test.each(Object.entries(FACTORIES) as [string, Maker][])('%s', async (_name, make) => {
    await onBackend(backend, async () => {
      const layer = make({ numHeads: 2, keyDim: 8, chunkLength: 8, seed: 5, causal: true });
      for (const [kind, { qk }] of Object.entries(INPUTS)) {
        const [out, dx] = tf.tidy(() => {
          const x = tf.tensor(qk, [2, SHAPE.L, SHAPE.D]);
          const call = (y: tf.Tensor) => layer.apply(y) as tf.Tensor;
          return [call(x), tf.grad((y) => tf.sum(call(y)))(x)];
        });
        expectFinite({ [`outputs, ${kind}`]: await out.data(), [`gradients, ${kind}`]: await dx.data() });
        tf.dispose([out, dx]);
      }
      layer.dispose();
    });
  });
});
