/** Indexes as files: the same answers and bytes, and what is refused. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  loadIndex,
} from '../../src/search/index.js';
import { parseSafetensors } from '../../src/storage/safetensors.js';
import { integers, normals } from '../inputs.js';

await tf.setBackend('cpu');
const D = 12;
const rows = normals(300 * D, 1);
const queries = normals(20 * D, 2);

const indexes = {
  'brute force, float64': () => new BruteForceIndex({ D, storage: 'float64', metric: 'innerProduct' }),
  'binary, float16': () => new BinaryIndex({ D, storage: 'float16' }),
  'tables, own planes': () =>
    new LshIndex({
      D,
      metric: 'cosine',
      family: hyperplanes({ D, bits: 5, tables: 2, planes: normals(10 * D, 3) }),
    }),
  'tables, corners, not centred': () =>
    new LshIndex({ D, center: false, family: crossPolytope({ D, numBuckets: [4, 6], tables: 3 }) }),
};

describe.each(Object.entries(indexes))('%s', (_name, make) => {
  test('is read as it was saved', async () => {
    const index = make();
    await index.build(
      rows.subarray(0, 200 * D),
      integers(200, 2 ** 20, 5).map((_, i) => 7 * i + 3),
    );
    await index.add(rows.subarray(200 * D));
    index.remove([3, 10, 1396, 1397]);
    const file = index.save();
    expect(index.save()).toEqual(file);
    const read = loadIndex(file) as typeof index;
    expect(read.constructor).toBe(index.constructor);
    expect(read.save()).toEqual(file);
    const options = { k: 15, ...(index instanceof LshIndex && { probes: 3, maxCandidates: 40 }) };
    expect(await read.query(queries, options)).toEqual(await index.query(queries, options));
    // Ids go on, and the codes of what is added later agree.
    const [id] = await read.add(queries.subarray(0, D));
    expect(id).toBe((await index.add(queries.subarray(0, D)))[0]);
    if (index.metric !== 'innerProduct') {
      expect((await read.query(queries.subarray(0, D), { k: 1 })).ids[0]).toBe(id);
    }
  });

  test('is refused when it is damaged, and nothing else changes', async () => {
    const index = make();
    await index.build(rows);
    const before = await index.query(queries);
    const file = index.save();
    for (const length of [0, 5, 100, file.length - 1]) {
      expect(() => loadIndex(file.subarray(0, length)), `${length} bytes`).toThrow(
        /^loadIndex: the file cannot be read/,
      );
    }
    const text = Buffer.from(file).toString('latin1');
    const edited = (from: string, to: string) => Buffer.from(text.replace(from, to), 'latin1');
    expect(() => loadIndex(edited('"version":"1"', '"version":"2"'))).toThrow(
      /version 2, and this package reads up to 1/,
    );
    expect(() => loadIndex(edited('tfjs-lsh-attention index', 'tfjs-lsh-attention xedni'))).toThrow(
      /it is no index/,
    );
    expect(() => loadIndex(edited(`${index.kind}\\"`, `${index.kind.slice(1)}x\\"`))).toThrow(
      /there is no index/,
    );
    expect(() => loadIndex(edited('\\"D\\":12', '\\"D\\":13'))).toThrow(/^loadIndex: /);
    expect(() => loadIndex(edited('"ids"', '"idz"'))).toThrow(/no `ids` of the right kind/);
    expect(await index.query(queries)).toEqual(before);
  });
});

test('the format is one that others read', async () => {
  const index = new BruteForceIndex({ D });
  await index.build(rows);
  const { tensors } = parseSafetensors(index.save());
  expect(tensors.get('rows')).toEqual({ shape: [300, D], values: rows });
});
