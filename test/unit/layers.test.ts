import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { denseAttention, localAttention, lshAttention } from '../../src/index.js';
import {
  DenseSelfAttention,
  denseSelfAttention,
  LocalSelfAttention,
  LSHSelfAttention,
  type LSHSelfAttentionArgs,
  localSelfAttention,
  lshSelfAttention,
} from '../../src/layers/index.js';
import { largestError, largestOf } from '../accuracy.js';
import { normals } from '../inputs.js';
import { dataOf, FACTORIES, lossAndGradients, type Maker, modelOf, reload, trainingData } from '../models.js';

const SMALL = {
  numHeads: 2,
  keyDim: 3,
  chunkLength: 4,
  seed: 5,
  kernelInitializer: tfl.initializers.glorotUniform({ seed: 4 }),
};
const [B, L, F] = [2, 11, 6];
const input = (seed = 1) => tf.tensor(normals(B * L * F, seed, false), [B, L, F]);
const difference = async (a: tf.Tensor, b: tf.Tensor) => largestError(await a.data(), await b.data());
const call = (layer: tfl.layers.Layer, x: tf.Tensor, kwargs: object = {}) =>
  layer.apply(x, kwargs) as tf.Tensor;
const each = describe.each(Object.entries(FACTORIES) as [string, Maker][]);

beforeAll(async () => {
  await tf.setBackend('cpu');
});
afterAll(async () => {
  await tf.setBackend('cpu');
});

describe('configuration', () => {
  test('has the defaults of Keras and of the op', () => {
    const layer = lshSelfAttention({ numHeads: 2, keyDim: 8 });
    expect(layer.getConfig()).toMatchObject({
      numHeads: 2,
      keyDim: 8,
      valueDim: 8,
      useBias: true,
      kernelInitializer: {
        className: 'VarianceScaling',
        config: { mode: 'fanAvg', distribution: 'uniform' },
      },
      biasInitializer: { className: 'Zeros' },
      kernelRegularizer: null,
      numHashes: 4,
      chunkLength: 64,
      causal: false,
      window: 'chunk',
      duplicates: 'correct',
      scale: 1,
      dropout: 0,
      seed: 0,
    });
    expect(localSelfAttention({ numHeads: 2, keyDim: 8 }).getConfig()).toMatchObject({
      chunkLength: 64,
      chunksBefore: 1,
      chunksAfter: 0,
      scale: '1/sqrt(D)',
    });
  });

  each('%s', (name, make) => {
    test('goes round', () => {
      const layer = make({
        ...SMALL,
        valueDim: 4,
        outputDim: 7,
        useBias: false,
        causal: true,
        scale: '1/sqrt(D)',
        dropout: 0.1,
        kernelInitializer: tfl.initializers.heNormal({ seed: 3 }),
        kernelRegularizer: 'l1l2',
        biasConstraint: 'nonNeg',
        inputShape: [null, 6],
        trainable: false,
        name: 'mine',
      });
      const config = layer.getConfig();
      const cls = layer.constructor as typeof LSHSelfAttention;
      expect(cls.className).toBe(name);
      expect(layer.getClassName()).toBe(name);
      const again = cls.fromConfig<LSHSelfAttention>(cls, JSON.parse(JSON.stringify(config)));
      expect(again).toBeInstanceOf(cls);
      expect(again.getConfig()).toEqual(config);
      expect(config).toMatchObject({
        name: 'mine',
        trainable: false,
        outputDim: 7,
        kernelInitializer: { config: { seed: 3 } },
        kernelRegularizer: { className: 'L1L2' },
        batchInputShape: [null, null, 6],
      });
    });

    test.each<[string, unknown, string | RegExp]>([
      ['numHeads', 0, '`numHeads` must be an integer from 1 up, got 0.'],
      ['numHeads', undefined, '`numHeads` must be an integer from 1 up, got undefined.'],
      ['keyDim', 2.5, '`keyDim` must be an integer from 1 to 256, got 2.5.'],
      ['keyDim', 257, 'from 1 to 256, got 257.'],
      ['valueDim', -1, '`valueDim` must be an integer from 1 to 256, got -1.'],
      ['outputDim', 0, '`outputDim` must be an integer from 1 up, got 0.'],
      ['useBias', 1, '`useBias` must be true or false, got 1.'],
      ['chunkLength', 0, '`chunkLength` must be an integer from 1 up, got 0.'],
      ['chunksBefore', -1, '`chunksBefore` must be an integer from 0 up, got -1.'],
      ['causal', 'no', "`causal` must be true or false, got 'no'."],
      ['scale', -2, '`scale` must be a number from 1e-37'],
      ['dropout', 1, '`dropout` must be a number from 0 to below 1, got 1.'],
      ['seed', -1, '`seed` must be an integer from 0 to 4294967295, got -1.'],
      ['heads', 4, 'there is no option `heads`'],
    ])('refuses %s: %o', (option, value, message) => {
      expect(() => make({ ...SMALL, [option]: value } as LSHSelfAttentionArgs)).toThrow(message);
      expect(() => make({ ...SMALL, [option]: value } as LSHSelfAttentionArgs)).toThrow(
        new RegExp(`^${name}: `),
      );
    });

    test('refuses an initializer that there is not', () => {
      expect(() => make({ ...SMALL, kernelInitializer: 'glorotOddly' })).toThrow(
        /Unknown initializer: glorotOddly/,
      );
    });

    test('takes null for what is not given', () => {
      const nothing = {
        valueDim: null,
        outputDim: null,
        kernelRegularizer: null,
        scale: null,
        customObjects: {},
      };
      const layer = make({ ...SMALL, ...(nothing as unknown as LSHSelfAttentionArgs), name: 'mine' });
      expect(layer.getConfig()).toEqual(make({ ...SMALL, name: 'mine' }).getConfig());
    });
  });

  test.each<[string, unknown, string]>([
    ['numHashes', 0, '`numHashes` must be an integer from 1 to 1024, got 0.'],
    ['numBuckets', 7, '`numBuckets` must be an even number from 2 up, got 7. Try 8.'],
    ['window', 'all', "`window` must be 'chunk' or 'bucket', got 'all'."],
    ['duplicates', 'drop', '`duplicates` must be'],
    ['roundBoundary', 'wrap', "`duplicates: 'correct'` cannot be had with `roundBoundary: 'wrap'`"],
    ['rotation', 'fast', "`rotation` must be 'gaussian' or 'hadamard', got 'fast'."],
    ['buckets', 3, 'there is no option `buckets`'],
  ])('of the hash: %s %o is refused', (option, value, message) => {
    expect(() => lshSelfAttention({ ...SMALL, [option]: value })).toThrow(`LSHSelfAttention: ${message}`);
    expect(() => denseSelfAttention({ ...SMALL, [option]: value })).toThrow(`DenseSelfAttention: ${message}`);
  });

  test('wide windows round the boundary are not held to a length that nobody gave', () => {
    const wrap = { roundBoundary: 'wrap', duplicates: 'count', chunksBefore: 6, numHashes: 1 } as const;
    expect(lshSelfAttention({ ...SMALL, ...wrap }).getConfig()).toMatchObject(wrap);
    expect(lshSelfAttention({ ...SMALL, chunkLength: 2 ** 30 }).getConfig().chunkLength).toBe(2 ** 30);
  });

  test('numHashes and window are checked when they are set', () => {
    const layer = lshSelfAttention({ ...SMALL, numHashes: 2 });
    expect(() => {
      layer.numHashes = 0;
    }).toThrow('LSHSelfAttention: `numHashes` must be an integer from 1 to 1024, got 0.');
    expect(() => {
      layer.window = 'row' as 'chunk';
    }).toThrow("LSHSelfAttention: `window` must be 'chunk' or 'bucket', got 'row'.");
    expect([layer.numHashes, layer.window]).toEqual([2, 'chunk']);
    layer.numHashes = 8;
    layer.window = 'bucket';
    expect(layer.getConfig()).toMatchObject({ numHashes: 8, window: 'bucket' });
    const wrapped = lshSelfAttention({ ...SMALL, roundBoundary: 'wrap', duplicates: 'count' });
    expect(() => {
      wrapped.window = 'bucket';
    }).toThrow(/^LSHSelfAttention: .*'wrap'/);
  });
});

describe('shapes and weights', () => {
  each('%s', (name, make) => {
    test('batch and length may be open', () => {
      const symbolic = tfl.input({ shape: [null, F] });
      expect((make(SMALL).apply(symbolic) as tfl.SymbolicTensor).shape).toEqual([null, null, F]);
      const layer = make({ ...SMALL, valueDim: 5, outputDim: 4 });
      expect((layer.apply(symbolic) as tfl.SymbolicTensor).shape).toEqual([null, null, 4]);
      expect(layer.computeOutputShape([7, null, F])).toEqual([7, null, 4]);
      for (const length of [1, 3, 4, 9]) {
        expect(call(layer, tf.ones([2, length, F])).shape).toEqual([2, length, 4]);
      }
    });

    test('weights have names and shapes', () => {
      const layer = make({ ...SMALL, valueDim: 5, outputDim: 4, name: 'mine' });
      layer.apply(tfl.input({ shape: [null, F] }));
      const keyed = name === 'LocalSelfAttention' ? ['query', 'key'] : ['query_key'];
      const expected = [
        ...keyed.flatMap((key) => [
          [`mine/${key}/kernel`, [F, 6]],
          [`mine/${key}/bias`, [6]],
        ]),
        ['mine/value/kernel', [F, 10]],
        ['mine/value/bias', [10]],
        ['mine/output/kernel', [10, 4]],
        ['mine/output/bias', [4]],
      ];
      expect(layer.trainableWeights.map(({ originalName, shape }) => [originalName, shape])).toEqual(
        expected,
      );
      expect(layer.nonTrainableWeights).toEqual([]);
      const without = make({ ...SMALL, useBias: false });
      call(without, tf.ones([1, 2, F]));
      expect(without.getWeights().map(({ rank }) => rank)).toEqual(
        [...keyed, 'value', 'output'].map(() => 2),
      );
    });

    test('another rank, no features or other features are refused', () => {
      expect(() => make(SMALL).apply(tfl.input({ shape: [F] }))).toThrow(/ndim=3/);
      expect(() => make(SMALL).apply(tfl.input({ shape: [4, null] }))).toThrow(
        `${name}: the last axis of the input, its features, must have a size, got null.`,
      );
      const layer = make(SMALL);
      call(layer, tf.ones([1, 2, F]));
      expect(() => call(layer, tf.ones([1, 2, F + 1]))).toThrow(/axis -1/);
    });

    test('rules of the weights are kept', () => {
      const layer = make({
        ...SMALL,
        kernelInitializer: 'ones',
        kernelRegularizer: tfl.regularizers.l2({ l2: 0.5 }),
        kernelConstraint: 'unitNorm',
        biasInitializer: tfl.initializers.constant({ value: 2 }),
        biasRegularizer: 'l1l2',
      });
      layer.apply(tfl.input({ shape: [null, F] }));
      const kernels = layer.getWeights().filter(({ rank }) => rank === 2);
      expect(layer.losses.length).toBe(2 * kernels.length);
      const losses = layer.losses.map((loss) => (loss as unknown as () => tf.Scalar)().dataSync()[0]);
      expect(losses).toContain(0.5 * (kernels[0] as tf.Tensor).size);
      expect(layer.getWeights().every((w) => w.dataSync().every((x) => x === (w.rank === 2 ? 1 : 2)))).toBe(
        true,
      );
      expect(layer.trainableWeights.map(({ constraint }) => constraint != null)).toEqual(
        layer.trainableWeights.map(({ shape }) => shape.length === 2),
      );
    });
  });
});

describe('what a layer computes', () => {
  const options = { chunkLength: 4, causal: true, scale: 0.7 };
  const sizes = { numHeads: 2, keyDim: 3, valueDim: 5, outputDim: 4, biasInitializer: 'randomNormal' };

  test.each<[string, tfl.layers.Layer, (keyed: tf.Tensor[], v: tf.Tensor) => tf.Tensor]>([
    [
      'LSHSelfAttention',
      lshSelfAttention({ ...sizes, ...options, numHashes: 2, seed: 9 }),
      ([qk], v) => lshAttention(qk as tf.Tensor, v, { ...options, numHashes: 2, seed: 9 }),
    ],
    [
      'DenseSelfAttention',
      denseSelfAttention({ ...sizes, ...options, numHashes: 2, seed: 9 }),
      ([qk], v) => denseAttention(qk as tf.Tensor, v, { causal: true, scale: 0.7 }),
    ],
    [
      'LocalSelfAttention',
      localSelfAttention({ ...sizes, ...options }),
      ([q, k], v) => localAttention(q as tf.Tensor, k as tf.Tensor, v, options),
    ],
  ])('%s: projections, the op by heads, a projection', async (_name, layer, op) => {
    const x = input();
    const out = call(layer, x);
    const weights = layer.getWeights();
    // Head h of a projection is its columns from h·depth on.
    const project = (n: number, from: tf.Tensor) =>
      tf.add(
        tf.matMul(tf.reshape(from, [B * L, -1]), weights[2 * n] as tf.Tensor2D),
        weights[2 * n + 1] as tf.Tensor,
      );
    const heads = (n: number, depth: number) =>
      tf.stack(
        [0, 1].map((h) => tf.reshape(tf.slice(project(n, x), [0, h * depth], [B * L, depth]), [B, L, depth])),
        1,
      );
    const last = weights.length / 2 - 1;
    const keyed = Array.from({ length: last - 1 }, (_, n) => heads(n, 3));
    const attended = op(keyed, heads(last - 1, 5));
    const joined = tf.concat(
      [0, 1].map((h) => tf.reshape(tf.slice(attended, [0, h, 0, 0], [B, 1, L, 5]), [B, L, 5])),
      2,
    );
    const expected = tf.reshape(project(last, joined), [B, L, 4]);
    expect(await difference(out, expected)).toBeLessThan(1e-5);
    expect(await difference(out, tf.zerosLike(out))).toBeGreaterThan(0.05);
  });

  test('weights move between LSH and dense attention, which agree where one chunk holds all', async () => {
    const lsh = lshSelfAttention({ ...SMALL, chunkLength: 16, numHashes: 1 });
    const dense = denseSelfAttention({ ...SMALL, chunkLength: 16, numHashes: 1, kernelInitializer: 'ones' });
    const x = input();
    const before = call(dense, x);
    const out = call(lsh, x);
    expect(await difference(before, out)).toBeGreaterThan(1e-3);
    dense.setWeights(lsh.getWeights());
    expect(await difference(call(dense, x), out)).toBeLessThan(1e-6);
    const config = dense.getConfig();
    const { name, kernelInitializer, ...rest } = lsh.getConfig();
    expect(config).toMatchObject(rest);
    expect(LSHSelfAttention.fromConfig<LSHSelfAttention>(LSHSelfAttention, config).numHashes).toBe(1);
  });

  test('attention by choice: dense, or what is predicted to be cheaper', async () => {
    const options = { ...SMALL, chunkLength: 2, numHashes: 1, numBuckets: 4 };
    const lsh = lshSelfAttention(options);
    const dense = lshSelfAttention({ ...options, attention: 'dense' });
    const auto = lshSelfAttention({ ...options, attention: 'auto' });
    const x = input();
    for (const layer of [lsh, dense, auto]) {
      call(layer, x);
      layer.setWeights(lsh.getWeights());
    }
    expect(await difference(call(dense, x), call(lsh, x))).toBeGreaterThan(1e-3);
    expect(await difference(call(auto, x), call(dense, x))).toBe(0);
    expect([lsh, dense, auto].map((layer) => layer.attentionAt(L))).toEqual(['lsh', 'dense', 'dense']);
    expect([lsh, dense, auto].map((layer) => layer.attentionAt(2 ** 20))).toEqual(['lsh', 'dense', 'lsh']);
    expect(denseSelfAttention({ ...options, attention: 'lsh' }).attentionAt()).toBe('dense');
    expect(auto.getConfig()).toMatchObject({ attention: 'auto' });
    const wrong = () => lshSelfAttention({ ...options, attention: 'fast' as 'auto' });
    expect(wrong).toThrow(/`attention` must be .*'auto'.*got 'fast'/);
  });

  test('numHashes and window change what is computed from then on', async () => {
    const layer = lshSelfAttention({ ...SMALL, chunkLength: 2, numHashes: 1, numBuckets: 4 });
    const dense = denseSelfAttention(SMALL);
    const x = input();
    const one = call(layer, x);
    call(dense, x);
    dense.setWeights(layer.getWeights());
    const fromDense = await difference(one, call(dense, x));
    layer.numHashes = 24;
    expect(await difference(call(layer, x), call(dense, x))).toBeLessThan(0.5 * fromDense);
    layer.numHashes = 1;
    expect(await difference(call(layer, x), one)).toBe(0);
    layer.window = 'bucket';
    expect(await difference(call(layer, x), one)).toBeGreaterThan(0.1 * fromDense);
  });
});

test('every option of the hash reaches the op', async () => {
  const options = {
    numHashes: 2,
    numBuckets: [2, 4],
    rotation: 'hadamard',
    window: 'bucket',
    scale: 2,
  } as const;
  const layer = lshSelfAttention({
    numHeads: 1,
    keyDim: F,
    ...options,
    seed: 3,
    kernelInitializer: 'identity',
  });
  const x = input(); // the projections change nothing
  const heads = tf.reshape(x, [B, 1, L, F]);
  const expected = tf.reshape(lshAttention(heads, heads, { ...options, seed: 3 }), [B, L, F]);
  expect(await difference(call(layer, x), expected)).toBeLessThan(1e-6);
  const gaussian = lshAttention(heads, heads, { ...options, rotation: 'gaussian', seed: 3 });
  expect(await difference(tf.reshape(gaussian, [B, L, F]), expected)).toBeGreaterThan(0.01);
});

describe('masks', () => {
  each('%s', (name, make) => {
    test.each(['bool', 'int32', 'float32'] as const)('of %s hide tokens', async (dtype) => {
      const layer = make(SMALL);
      const mask = tf.tensor(
        Array.from({ length: B * L }, (_, i) => Number(i % L !== 0 && i % 4 !== 1)),
        [B, L],
        dtype,
      );
      const real = tf.reshape(tf.cast(mask, 'float32'), [B, L, 1]);
      const x = input();
      const other = tf.add(tf.mul(x, real), tf.mul(input(9), tf.sub(1, real)));
      const seen = (y: tf.Tensor) => tf.mul(call(layer, y, { mask }), real);
      expect(await difference(seen(x), seen(other))).toBe(0);
      expect(await difference(call(layer, x), call(layer, other))).toBeGreaterThan(0.01);
      expect(await difference(call(layer, x, { mask }), call(layer, x))).toBeGreaterThan(0.01);
    });

    test('come from an embedding, pass through, and are where they were given by hand', async () => {
      const model = tfl.sequential({
        layers: [
          tfl.layers.embedding({ inputDim: 9, outputDim: F, maskZero: true, inputLength: L }),
          make({ ...SMALL, name: 'first' }),
          make({ ...SMALL, name: 'second' }),
        ],
      });
      const tokens = tf.tensor(
        Array.from({ length: B * L }, (_, i) => (i * 5) % 9),
        [B, L],
        'int32',
      );
      const out = model.predict(tokens) as tf.Tensor;
      const mask = tf.notEqual(tokens, 0);
      const [embedding, first, second] = model.layers as [
        tfl.layers.Layer,
        tfl.layers.Layer,
        tfl.layers.Layer,
      ];
      const embedded = call(embedding, tokens);
      const byHand = call(second, call(first, embedded, { mask }), { mask });
      expect(await difference(out, byHand)).toBe(0);
      expect(await difference(out, call(second, call(first, embedded)))).toBeGreaterThan(1e-3);
    });

    test('of another branch are refused', () => {
      const words = tfl.input({ shape: [5] });
      const frames = tfl.input({ shape: [8, F] });
      const embed = tfl.layers.embedding({ inputDim: 9, outputDim: F, maskZero: true });
      const read = make(SMALL).apply(embed.apply(words)) as tfl.SymbolicTensor;
      const watch = (x: tfl.SymbolicTensor) => make(SMALL).apply(x) as tfl.SymbolicTensor;
      const inputs = [tf.ones([2, 5], 'int32'), tf.ones([2, 8, F])];
      const model = tfl.model({ inputs: [words, frames], outputs: [read, watch(frames)] });
      expect(() => model.predict(inputs)).toThrow(
        `${name}: \`mask\` must have the shape [B, L] = [2,8], got [2,5]. A model hands all its layers one object`,
      );
      // The way out that the message names.
      const masked = watch(tfl.layers.masking().apply(frames) as tfl.SymbolicTensor);
      const repaired = tfl.model({ inputs: [words, frames], outputs: [read, masked] });
      expect((repaired.predict(inputs) as tf.Tensor[])[1]?.shape).toEqual([2, 8, F]);
    });

    test('that are disposed or no tensors are refused', () => {
      const layer = make(SMALL);
      const mask = tf.ones([B, L], 'bool');
      mask.dispose();
      expect(() => call(layer, input(), { mask })).toThrow(`${name}: \`mask\` is disposed.`);
      expect(() => call(layer, input(), { mask: [1, 0] })).toThrow(`${name}: \`mask\` must be a tf.Tensor`);
    });
  });
});

describe('training', () => {
  each('%s', (name, make) => {
    const dropping = { ...SMALL, numHashes: 1, chunkLength: 2, dropout: 0.4 };
    const local = ({ numHashes: _, ...options }: typeof dropping) => options;
    const made = (options: Partial<typeof dropping> = {}) => {
      const all = { ...dropping, ...options };
      return make(name === 'LocalSelfAttention' ? local(all) : all);
    };

    test('every step hashes and drops anew; the same seed gives the same run again', async () => {
      const x = input();
      const [layer, again, other] = [made(), made(), made({ seed: 6 })];
      const steps = [0, 1, 2].map(() => call(layer, x, { training: true }));
      expect(layer.trainingStep).toBe(3);
      for (const [step, out] of steps.entries()) {
        expect(await difference(call(again, x, { training: true }), out)).toBe(0);
        expect(await difference(steps[(step + 1) % 3] as tf.Tensor, out)).toBeGreaterThan(1e-3);
      }
      expect(await difference(call(other, x, { training: true }), steps[0] as tf.Tensor)).toBeGreaterThan(
        1e-3,
      );
      layer.trainingStep = 1;
      expect(await difference(call(layer, x, { training: true }), steps[1] as tf.Tensor)).toBe(0);
    });

    test('outside it nothing varies, and nothing is dropped', async () => {
      const x = input();
      const [layer, without] = [made(), made({ dropout: 0 })];
      const out = call(layer, x);
      call(layer, x, { training: true });
      expect(await difference(call(layer, x, { training: false }), out)).toBe(0);
      expect(await difference(call(without, x), out)).toBe(0);
      expect(without.trainingStep).toBe(0);
    });

    test.each(['sequential', 'functional'] as const)(
      'a %s model learns, and leaves nothing behind',
      async (kind) => {
        const { x, y } = trainingData();
        const model = modelOf(
          kind,
          make({ ...SMALL, causal: true, dropout: 0.05, kernelRegularizer: 'l1l2' }),
        );
        model.compile({ optimizer: tf.train.adam(0.02), loss: 'meanSquaredError' });
        const fit = async () => {
          const { history } = await model.fit(x, y, { epochs: 1, batchSize: 4, verbose: 0 });
          return (history.loss as number[])[0] as number;
        };
        const first = await fit();
        const before = tf.memory().numTensors;
        let last = first;
        for (let step = 0; step < 20; step++) {
          last = await fit();
        }
        expect(tf.memory().numTensors).toBe(before);
        expect(last).toBeLessThan(0.6 * first);
      },
    );

    test('a loop of one’s own learns, and leaves nothing behind', () => {
      const { x, y } = trainingData();
      const model = modelOf('functional', make({ ...SMALL, causal: true, dropout: 0.05 }));
      const optimizer = tf.train.adam(0.02);
      const step = () => {
        const loss = optimizer.minimize(
          () => tf.losses.meanSquaredError(y, model.apply(x, { training: true }) as tf.Tensor) as tf.Scalar,
          true,
        ) as tf.Scalar;
        const value = loss.dataSync()[0] as number;
        loss.dispose();
        return value;
      };
      const first = step();
      const before = tf.memory().numTensors;
      const losses = Array.from({ length: 20 }, step);
      expect(tf.memory().numTensors).toBe(before);
      expect(losses.at(-1)).toBeLessThan(0.6 * first);
    });

    test('constraints hold for weights that are set', async () => {
      const layer = make({ ...SMALL, kernelConstraint: 'nonNeg' });
      call(layer, input());
      layer.setWeights(layer.getWeights().map((weight) => tf.fill(weight.shape, -1)));
      for (const weight of layer.getWeights()) {
        expect(new Set(await weight.data())).toEqual(new Set([weight.rank === 2 ? 0 : -1]));
      }
    });

    test('gradients by every weight, masked, on wasm as on cpu', async () => {
      const masked = { ...SMALL, causal: true, dropout: 0.1 };
      const cpu = await lossAndGradients(make(masked), 'cpu');
      const wasm = await lossAndGradients(make(masked), 'wasm');
      await tf.setBackend('cpu');
      expect(cpu.length).toBe(wasm.length);
      for (const [n, values] of cpu.entries()) {
        const most = 5e-5 * (1 + largestOf(values));
        expect(largestError(wasm[n] as Float32Array, values), `gradient ${n}`).toBeLessThan(most);
      }
      // A bias of the keys alone shifts all logits of a query alike, which changes nothing.
      const nothing = cpu.filter((values) => largestOf(values) < 0.01).length;
      expect(nothing).toBe(name === 'LocalSelfAttention' ? 1 : 0);
    });

    test.each(['sequential', 'functional'] as const)('a %s model is saved and loaded', async (kind) => {
      const { x, y } = trainingData();
      const options = { ...SMALL, causal: true, valueDim: 4, scale: '1/sqrt(D)', dropout: 0.2 } as const;
      const model = modelOf(kind, make({ ...options, kernelRegularizer: tfl.regularizers.l2({ l2: 1e-3 }) }));
      model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
      await model.fit(x, y, { epochs: 1, verbose: 0 });
      const loaded = await reload(model);
      const layer = loaded.layers.find((one) => one.getClassName() === name) as tfl.layers.Layer;
      const { kernelInitializer: _, ...plain } = options;
      expect(layer.getConfig()).toMatchObject(plain);
      const predicted = await dataOf(model.predict(x) as tf.Tensor);
      expect(await dataOf(loaded.predict(x) as tf.Tensor)).toEqual(predicted);
      loaded.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
      await loaded.fit(x, y, { epochs: 1, verbose: 0 });
      expect(await dataOf(loaded.predict(x) as tf.Tensor)).not.toEqual(predicted);
    });

    test('what a model holds is given back', () => {
      const before = tf.memory().numTensors;
      const model = modelOf('sequential', make(SMALL));
      expect(tf.memory().numTensors).toBeGreaterThan(before);
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  test('a model trained with one attention is used with the other', async () => {
    const { x, y } = trainingData();
    const layer = lshSelfAttention({ ...SMALL, causal: true, numHashes: 2, name: 'attention' });
    const model = modelOf('functional', layer);
    model.compile({ optimizer: tf.train.adam(0.02), loss: 'meanSquaredError' });
    await model.fit(x, y, { epochs: 20, batchSize: 4, verbose: 0 });
    const dense = modelOf(
      'functional',
      DenseSelfAttention.fromConfig<DenseSelfAttention>(DenseSelfAttention, layer.getConfig()),
    );
    dense.setWeights(model.getWeights());
    dense.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const loss = async (m: tfl.LayersModel) =>
      ((await (m.evaluate(x, y) as tf.Scalar).data()) as Float32Array)[0];
    const byDense = (await loss(dense)) as number;
    layer.numHashes = 1;
    const byOne = (await loss(model)) as number;
    layer.numHashes = 64;
    const byMany = (await loss(model)) as number;
    expect(Math.abs(byMany - byDense)).toBeLessThan(1e-4);
    expect(byOne).not.toBe(byMany);
    // The rounds that are set now are saved.
    const loaded = await reload(model);
    expect((loaded.getLayer('attention') as LSHSelfAttention).numHashes).toBe(64);
  });
});

test('the classes are registered', () => {
  const classes = tf.serialization.SerializationMap.getMap().classNameMap;
  for (const cls of [LSHSelfAttention, DenseSelfAttention, LocalSelfAttention]) {
    expect(classes[cls.className]?.[0]).toBe(cls);
  }
});
