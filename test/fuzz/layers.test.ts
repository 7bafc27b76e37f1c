/** Random layers and calls of them. */
import type * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  denseSelfAttention,
  type LSHSelfAttention,
  localSelfAttention,
  lshSelfAttention,
} from '../../src/layers/index.js';
import { reformerLayer } from '../../src/reformer/index.js';
import { BACKENDS } from '../call.js';
import { SMALL } from '../checkpoints.js';
import { integers } from '../inputs.js';
import { expectFinite, fuzz, outcome, valuesOf } from './fuzz.js';
import { floats, isLarge, junk, mostly, optionsOf, Wanted, withReal } from './junk.js';

const shared = {
  numHeads: fc.integer({ min: 1, max: 2 }),
  keyDim: fc.constantFrom(3, 8),
  valueDim: fc.constantFrom(5, undefined),
  outputDim: fc.integer({ min: 1, max: 4 }),
  useBias: fc.boolean(),
  kernelInitializer: fc.constantFrom('glorotUniform', 'zeros'),
  kernelRegularizer: fc.constantFrom('l1l2', null),
  kernelConstraint: fc.constantFrom('nonNeg', null),
  biasInitializer: fc.constantFrom('zeros', 'ones'),
  biasRegularizer: fc.constantFrom('l1l2', null),
  biasConstraint: fc.constantFrom('nonNeg', null),
  trainable: fc.boolean(),
  causal: fc.boolean(),
  dropout: fc.constantFrom(0, 0.3),
  scale: fc.constantFrom(1, '1/sqrt(D)'),
  seed: fc.constantFrom(0, 5),
  chunkLength: fc.integer({ min: 1, max: 9 }),
  chunksBefore: fc.integer({ min: 0, max: 2 }),
};
const ofLsh = {
  ...shared,
  numHashes: fc.integer({ min: 1, max: 3 }),
  numBuckets: fc.constantFrom(2, 4),
  window: fc.constantFrom('chunk', 'bucket'),
  duplicates: fc.constantFrom('correct', 'count'),
  roundBoundary: fc.constantFrom('stop', 'stop', 'stop', 'wrap'),
  rotation: fc.constantFrom('gaussian', 'hadamard'),
  attention: fc.constantFrom('lsh', 'dense', 'auto'),
};
const KINDS = {
  LSHSelfAttention: {
    make: lshSelfAttention,
    options: ofLsh,
    inside: ['lshAttention', 'denseAttention', 'predictCost'],
  },
  DenseSelfAttention: { make: denseSelfAttention, options: ofLsh, inside: ['denseAttention'] },
  LocalSelfAttention: {
    make: localSelfAttention,
    options: { ...shared, boundary: fc.constantFrom('stop', 'stop', 'wrap') },
    inside: ['localAttention'],
  },
};

const calls = fc.record({
  B: fc.integer({ min: 1, max: 2 }),
  L: fc.integer({ min: 1, max: 10 }),
  key: fc.nat(),
  mask: fc.oneof(fc.constantFrom('none', 'fits'), { weight: 1, arbitrary: junk }),
  training: fc.boolean(),
});
const FEATURES = 4;

describe.each(BACKENDS)('on %s', (backend) => {
  const run = { backend, share: backend === 'cpu' ? 1 : 0.05 };

  describe.each(Object.entries(KINDS))('%s', (kind, { make, options, inside }) => {
    fuzz(
      kind,
      fc.record({
        args: optionsOf(options, ['numHeads', 'keyDim']),
        call: calls,
        next: mostly(fc.constant(2)),
      }),
      ({ args, call: { B, L, key, mask, training }, next }) =>
        withReal([floats([B, L, FEATURES], key), masked(mask, [B, L], key)], async ([x, real]) => {
          const made = await outcome([kind], () => make(args as never));
          if (made === undefined || isLarge(args, ['numHeads', 'outputDim'])) {
            return false;
          }
          const layer = made.value;
          const input = x as unknown as tf.Tensor;
          const kwargs = { training, ...(real !== 'none' && { mask: real as tf.Tensor }) };
          const answer = await outcome([kind, ...inside], () => layer.apply(input, kwargs) as tf.Tensor);
          if (answer !== undefined) {
            const shape = layer.computeOutputShape([B, L, FEATURES]);
            expect(answer.value.shape).toEqual(shape);
            const [out] = await valuesOf([answer.value]);
            expectFinite(out as Float32Array, 'out');
            const { name: _n, ...config } = layer.getConfig();
            const { name: _m, ...again } = make({ ...layer.getConfig() } as never).getConfig();
            expect(again).toEqual(config);
            if (kind === 'LSHSelfAttention') {
              await outcome([kind], () => {
                (layer as LSHSelfAttention).numHashes = next;
              });
            }
          }
          if (layer.built) {
            layer.dispose();
          }
          return answer !== undefined;
        }),
      run,
    );
  });

  fuzz(
    'reformerLayer',
    fc.record({
      args: optionsOf(
        {
          config: mostly(
            optionsOf({ num_hashes: fc.integer({ min: 1, max: 2 }), num_labels: fc.constant(3) }),
            20,
          ),
          output: fc.constantFrom('hidden', 'logits'),
          seed: fc.constantFrom(0, 3),
        },
        ['config'],
      ),
      call: calls,
    }),
    ({ args, call: { B, L, key, mask, training } }) =>
      withReal(
        [new Wanted([B, L], 'int32', integers(B * L, 11, key)), masked(mask, [B, L], key)],
        async ([ids, real]) => {
          const given = typeof args === 'object' && args !== null ? spread(args) : args;
          const made = await outcome(['ReformerLayer', 'readConfig'], () => reformerLayer(given as never));
          if (made === undefined) {
            return false;
          }
          const layer = made.value;
          const kwargs = { training, ...(real !== 'none' && { mask: real as tf.Tensor }) };
          const answer = await outcome(
            ['ReformerLayer', 'Reformer.hidden', 'Reformer.logits', 'Reformer', 'lshAttention'],
            () => layer.apply(ids as unknown as tf.Tensor, kwargs) as tf.Tensor,
          );
          if (answer !== undefined) {
            const [out] = await valuesOf([answer.value]);
            expectFinite(out as Float32Array, 'out');
          }
          if (layer.built) {
            layer.dispose();
          }
          return answer !== undefined;
        },
      ),
    { ...run, share: run.share / 4 },
  );
});

function masked(mask: unknown, shape: readonly number[], key: number): unknown {
  return mask === 'fits'
    ? new Wanted(shape, 'bool', integers((shape[0] as number) * (shape[1] as number), 2, key))
    : mask;
}

/** The fields of a small model below those that were drawn. */
function spread(args: Record<string, unknown>): Record<string, unknown> {
  const { config } = args;
  const isFields = typeof config === 'object' && config !== null && !Array.isArray(config);
  return isFields ? { ...args, config: { ...SMALL, ...config } } : args;
}
