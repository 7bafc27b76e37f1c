import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { autotune, useTuning } from '../../src/attention/autotune.js';
import { FAMILIES, type Family, variantsOf } from '../../src/attention/variants.js';
import { denseAttention } from '../../src/index.js';
import { currentDevice } from '../../src/webgpu/backend.js';
import { DEFAULT_TRAITS, setTuning, traitsOf, tuningOf } from '../../src/webgpu/traits.js';
import { expectAsExactAsFloat32 } from '../accuracy.js';
import { check } from '../call.js';
import { qkv } from '../inputs.js';
import { dense } from '../oracle/dense.js';
import { toFloat32 } from '../oracle/shape.js';

const QUICK = { heads: 1, length: 64, depth: 8, runs: 1 };

afterEach(async () => {
  await tf.setBackend('webgpu');
  setTuning(currentDevice(), {});
});

describe('autotune', () => {
  test('says where gradients come from, where there are none', async () => {
    const gradient = tf.getGradient('Reshape');
    tf.unregisterGradient('Reshape');
    try {
      await expect(autotune(QUICK)).rejects.toThrow(/autotune: .*Import '@tensorflow\/tfjs-layers'/);
    } finally {
      tf.registerGradient(gradient);
    }
  });

  test('measures every variant that the device can run, takes the fastest, leaves no tensor', async () => {
    const before = tf.memory().numTensors;
    const steps: string[] = [];
    const report = await autotune({
      ...QUICK,
      onProgress: ({ measured, of }) => steps.push(`${measured}/${of}`),
    });
    expect(tf.memory().numTensors).toBe(before);
    const shape = { B: 1, H: 1, L: 64, D: 8, E: 8 };
    for (const family of FAMILIES) {
      const able = variantsOf(family, shape, traitsOf(currentDevice()));
      const measured = report.measured.filter((one) => one.family === family);
      expect(measured).toMatchObject(able);
      const fastest = measured.reduce((a, b) => (b.milliseconds < a.milliseconds ? b : a));
      expect(fastest).toMatchObject(report.tuning[family] as object);
    }
    expect(steps).toEqual(report.measured.map((_, i) => `${i}/${report.measured.length}`));
    expect(tuningOf(currentDevice())).toEqual(report.tuning);
  });

  test('a report is plain JSON, used again on the same adapter alone', async () => {
    const report = JSON.parse(JSON.stringify(await autotune(QUICK)));
    setTuning(currentDevice(), {});
    expect(useTuning({ ...report, adapter: 'another' })).toBe(false);
    expect(tuningOf(currentDevice())).toEqual({});
    expect(useTuning(report)).toBe(true);
    expect(traitsOf(currentDevice()).tuning).toEqual(report.tuning);
  });

  test('what cannot be measured is refused, and changes nothing', async () => {
    const tuning = { 'attend/forward': { subgroup: false, rows: 2, keys: 64 } } as const;
    setTuning(currentDevice(), tuning);
    await expect(autotune({ depth: 300 })).rejects.toThrow(/300/);
    await expect(autotune({ runs: 0 })).rejects.toThrow(/`runs` must be/);
    expect(tuningOf(currentDevice())).toEqual(tuning);
    await tf.setBackend('cpu');
    await expect(autotune()).rejects.toThrow(/autotune: there is nothing to tune on the cpu backend/);
  });
});

/** The variants of the forward kernels at the depth of QUICK, on the device at hand. */
const forwardVariants = (['attend/forward', 'dense/forward'] as const).flatMap((family) =>
  variantsOf(family, { B: 1, H: 1, L: 64, D: 8, E: 8 }, traitsOf(currentDevice())).map((variant) => ({
    family,
    ...variant,
  })),
);

describe.each([false, true])('every forward variant, causal %s', (causal) => {
  test.each(forwardVariants)('$family, subgroup $subgroup, $rows rows, $keys keys', async (one) => {
    const { family, ...variant } = one;
    setTuning(currentDevice(), { [family]: variant });
    const shape = { B: 1, H: 2, L: 150, D: 8, E: 4 };
    const { qk, v } = qkv(shape, 3);
    if (family === 'attend/forward') {
      const options = { causal, numHashes: 2, chunkLength: 24, numBuckets: 6, chunksAfter: 1 };
      await check('webgpu', { shape, qk, v, options });
      return;
    }
    const out = tf.tidy(() =>
      denseAttention(tf.tensor(qk, [2, 150, 8]), tf.tensor(v, [2, 150, 4]), { causal }),
    );
    const [exact, naive] = [dense(qk, v, shape, { causal }), dense(qk, v, shape, { causal }, toFloat32)];
    expectAsExactAsFloat32(await out.data(), exact.out, naive.out, 'out');
    out.dispose();
  });
});

describe('variants', () => {
  const shape = { B: 1, H: 1, L: 64, D: 64, E: 64 };

  test('subgroups of a fixed size, and rows that fit', () => {
    const of = (traits: object, depth = 64, family: Family = 'attend/forward') =>
      variantsOf(family, { ...shape, D: depth }, { ...DEFAULT_TRAITS, ...traits });
    const tiles = [
      { subgroup: false, rows: 4, keys: 32 },
      { subgroup: false, rows: 4, keys: 64 },
      { subgroup: false, rows: 2, keys: 64 },
    ];
    expect(of({})).toEqual(tiles);
    expect(of({ software: true })[0]).toEqual(tiles[1]);
    expect(of({ subgroupSize: 4 })).toEqual(tiles);
    expect(of({ subgroupSize: 32 })[0]).toEqual({ subgroup: true, rows: 1 });
    expect(of({ subgroupSize: 8, software: true })[0]).toEqual({ subgroup: true, rows: 2 });
    expect(of({ subgroupSize: 32 }).slice(-3)).toEqual(tiles);
    expect(of({ subgroupSize: 32 }, 256)).toEqual(tiles);
    expect(of({ subgroupSize: 32 }, 64, 'dense/forward').slice(0, 3)).toEqual(tiles);
  });
});
