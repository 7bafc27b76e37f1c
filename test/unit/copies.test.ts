/** A second copy of tfjs's core: tensors of its engine, and layers that are built on it, are refused with a way out. */
import { createRequire } from 'node:module';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test, vi } from 'vitest';
import { LshCache, lshAttention, scaledDotProductAttention } from '../../src/index.js';

const require = createRequire(import.meta.url);
const DEDUPE = /`npm ls @tensorflow\/tfjs-core` lists the copies; .*`npm dedupe`/;

/** Another copy, as npm nests one, with an engine of its own, as in a realm of its own. */
function secondCopy(): typeof tf {
  const shared = globalThis as { _tfengine?: unknown; _tfGlobals?: unknown };
  const before = { _tfengine: shared._tfengine, _tfGlobals: shared._tfGlobals };
  const path = require.resolve('@tensorflow/tfjs-core');
  const own = require.cache[path];
  delete require.cache[path];
  shared._tfengine = undefined;
  shared._tfGlobals = undefined;
  try {
    return require(path) as typeof tf;
  } finally {
    Object.assign(shared, before);
    require.cache[path] = own;
  }
}

afterEach(() => {
  vi.doUnmock('@tensorflow/tfjs-core');
  vi.resetModules();
});

test('a tensor of another engine is refused', () => {
  const other = secondCopy();
  expect(other.engine()).not.toBe(tf.engine());
  class Memory extends other.KernelBackend {
    override write = () => ({ id: {} });
    override refCount = () => 1;
    override incRef = () => {};
  }
  other.registerBackend('memory', () => new Memory() as tf.KernelBackend);
  const foreign = other.tensor([1, 2, 3, 4], [2, 2]) as unknown as tf.Tensor;
  const calls: [string, () => unknown][] = [
    ['lshAttention: `qk`', () => lshAttention(foreign, foreign)],
    ['scaledDotProductAttention: `q`', () => scaledDotProductAttention(foreign, foreign, foreign)],
    ['LshCache.append: `qk`', () => new LshCache({ numBuckets: 2 }).append(foreign, foreign)],
  ];
  for (const [name, call] of calls) {
    expect(call).toThrow(DEDUPE);
    expect(call).toThrow(`${name} cannot be read: it belongs to another engine of tfjs`);
  }
});

test('symbolic tensors of another tfjs-layers are refused', async () => {
  const { lshSelfAttention } = await import('../../src/layers/index.js');
  const path = require.resolve('@tensorflow/tfjs-layers');
  delete require.cache[path];
  const other = require(path) as typeof import('@tensorflow/tfjs-layers');
  const layer = lshSelfAttention({ numHeads: 1, keyDim: 2 });
  const apply = () => layer.apply(other.input({ shape: [4, 3] }) as never);
  expect(apply).toThrow(/^LSHSelfAttention: the input is a symbolic tensor of another copy/);
  expect(apply).toThrow(/`npm ls @tensorflow\/tfjs-layers` lists the copies/);
});

test('layers on another core are refused', async () => {
  vi.resetModules();
  vi.doMock('@tensorflow/tfjs-core', () => secondCopy());
  const { lshSelfAttention } = await import('../../src/layers/index.js');
  const make = () => lshSelfAttention({ numHeads: 1, keyDim: 2 });
  expect(make).toThrow(/^LSHSelfAttention: @tensorflow\/tfjs-layers uses another copy/);
  expect(make).toThrow(DEDUPE);
});
