/** Damaged files: a clear error, or what the file says; never more memory than it has bytes for. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { loadReformer, parseSafetensors, saveReformer, writeSafetensors } from '../../src/reformer/index.js';
import {
  BinaryIndex,
  BruteForceIndex,
  crossPolytope,
  hyperplanes,
  LshIndex,
  learnHash,
  loadIndex,
  MinHashLsh,
} from '../../src/search/index.js';
import { bitsOf, MemoryFolder, smallModel } from '../checkpoints.js';
import { integers, normals } from '../inputs.js';
import { expectFinite, fuzz, outcome } from './fuzz.js';

const text = new TextEncoder();
type Bytes = Uint8Array<ArrayBuffer>;

const numbers = fc.constantFrom(0, -1, 1, 2, 3, 0.5, 65536, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53, 1e300);
/** What may stand in a header in place of anything. */
const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: numbers },
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    'F32',
    'F16',
    'I8',
    'I64',
    'BOOL',
    'F4',
    'junk',
    [],
    {},
    [[]],
    [-1],
    '1',
  ),
  fc.constantFrom<unknown>([0, 0], [2, 2], [2 ** 31, 2 ** 31], [0, 2 ** 53], [8, 4], [1e300], ['0', '1']),
);

/** A change of a file. */
type Damage =
  | { readonly kind: 'flip'; readonly places: readonly number[] }
  | { readonly kind: 'cut' | 'longer' | 'drop' | 'zero'; readonly at: number; readonly count: number }
  | { readonly kind: 'length'; readonly value: bigint }
  | {
      readonly kind: 'field';
      readonly path: readonly number[];
      readonly value: unknown;
      readonly act: number;
    }
  | {
      readonly kind: 'described';
      readonly path: readonly number[];
      readonly value: unknown;
      readonly act: number;
    };

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const path = fc.array(fc.nat(1000), { minLength: 1, maxLength: 5 });
const edit = { path, value, act: fc.nat(5) };
const damage: fc.Arbitrary<Damage> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('flip' as const),
      places: fc.array(place, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut' as const, 'longer' as const, 'drop' as const, 'zero' as const),
      at: place,
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  fc.record({
    kind: fc.constant('length' as const),
    value: fc.constantFrom(0n, 1n, 2n, 8n, 1n << 20n, 1n << 32n, 1n << 53n, (1n << 64n) - 1n),
  }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('field' as const), ...edit }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('described' as const), ...edit }) },
);

/** The file with its damage. */
function damaged(file: Bytes, how: Damage): Bytes {
  switch (how.kind) {
    case 'flip': {
      const flipped = file.slice();
      for (const one of how.places) {
        const bit = Math.floor(one * 8 * file.length);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      }
      return flipped;
    }
    case 'cut':
      return file.slice(0, Math.floor(how.at * file.length));
    case 'longer':
      return Uint8Array.from([...file, ...new Uint8Array(how.count)]);
    case 'drop': {
      const at = Math.floor(how.at * file.length);
      return Uint8Array.from([...file.subarray(0, at), ...file.subarray(at + how.count)]);
    }
    case 'zero': {
      const at = Math.floor(how.at * file.length);
      return file.slice().fill(0, at, at + how.count);
    }
    case 'length': {
      const changed = file.slice();
      new DataView(changed.buffer).setBigUint64(0, how.value, true);
      return changed;
    }
    default:
      return withHeader(file, (header) => {
        if (how.kind === 'field') {
          return changed(header, how);
        }
        // An index describes itself in JSON within the JSON.
        const { index, ...metadata } = (header.__metadata__ ?? {}) as Record<string, string>;
        return index === undefined
          ? changed(header, how)
          : {
              ...header,
              __metadata__: { ...metadata, index: JSON.stringify(changed(JSON.parse(index), how)) },
            };
      });
  }
}

/** The file with another header, of whatever length that has. */
function withHeader(file: Bytes, change: (header: Record<string, unknown>) => unknown): Bytes {
  const end = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, end)));
  const json = text.encode(JSON.stringify(change(header)));
  const whole = new Uint8Array(8 + json.length + file.length - end);
  new DataView(whole.buffer).setBigUint64(0, BigInt(json.length), true);
  whole.set(json, 8);
  whole.set(file.subarray(end), 8 + json.length);
  return whole;
}

/** A JSON value in which one place, found by `path`, has another value, is gone, or stands under another name. */
function changed(
  json: unknown,
  { path, value, act }: { path: readonly number[]; value: unknown; act: number },
): unknown {
  const [first = 0, ...rest] = path;
  if (typeof json !== 'object' || json === null || Object.keys(json).length === 0) {
    return value;
  }
  const keys = Object.keys(json);
  const key = keys[first % keys.length] as string;
  const inside = (json as Record<string, unknown>)[key];
  if (rest.length > 0 && typeof inside === 'object' && inside !== null) {
    const one = changed(inside, { path: rest, value, act });
    return Array.isArray(json)
      ? json.map((old, i) => (String(i) === key ? one : old))
      : { ...json, [key]: one };
  }
  if (Array.isArray(json)) {
    return json.map((old, i) => (String(i) === key ? value : old));
  }
  const { [key]: old, ...others } = json as Record<string, unknown>;
  return act === 0 ? others : act === 1 ? { ...others, surplus: old } : { ...json, [key]: value };
}

const D = 4;
const rows = normals(20 * D, 1);
const own = { D, bits: 5, tables: 2, planes: normals(10 * D, 3) };

async function indexFile<T extends { build(rows: Float32Array): Promise<void>; save(): Bytes }>(
  index: T,
): Promise<Bytes> {
  await index.build(rows);
  return index.save();
}

async function tuned<T extends BinaryIndex | LshIndex>(index: T): Promise<Bytes> {
  await index.build(rows);
  await index.tune({ targetRecall: 0.5, k: 3 });
  return index.save();
}

async function setsFile(verify: boolean): Promise<Bytes> {
  const index = new MinHashLsh({ numHashes: 8, threshold: 0.5, verify });
  await index.build([['a', 'b', 'c'], ['a', 'b'], [1, 2, new Uint8Array([3])], []]);
  return index.save();
}

const INDEXES = {
  BruteForceIndex: await indexFile(new BruteForceIndex({ D, storage: 'float64', metric: 'innerProduct' })),
  'BruteForceIndex of 16 bits': await indexFile(new BruteForceIndex({ D, storage: 'float16' })),
  'BruteForceIndex, empty': new BruteForceIndex({ D }).save(),
  BinaryIndex: await tuned(new BinaryIndex({ D })),
  'LshIndex, own planes': await tuned(new LshIndex({ D, family: hyperplanes(own) })),
  'LshIndex of corners': await indexFile(
    new LshIndex({ D, metric: 'cosine', family: crossPolytope({ D, numBuckets: [4, 6], tables: 3 }) }),
  ),
  'LshIndex, empty': new LshIndex({ D }).save(),
  'LshIndex, learned': await indexFile(
    new LshIndex({ D, family: await learnHash(rows, integers(20, 3, 1), { bits: 4, tables: 2 }) }),
  ),
  MinHashLsh: await setsFile(false),
  'MinHashLsh, verified': await setsFile(true),
} as const;

const method = (kind: string, ...names: string[]) => names.map((name) => `${kind}.${name}`);

for (const [name, file] of Object.entries(INDEXES)) {
  fuzz(
    `loadIndex, ${name}`,
    fc.array(damage, { minLength: 0, maxLength: 2 }),
    async (changes) => {
      const bytes = applied(file, changes);
      const found = await outcome(['loadIndex'], () => loadIndex(bytes));
      if (found === undefined) {
        return false;
      }
      // What is read can be asked, and is read again as it is.
      const index = found.value;
      const again = index.save();
      expect(loadIndex(again).save()).toEqual(again);
      if (index instanceof MinHashLsh) {
        const { distances, ids } = await index.query([['a', 'b']], { k: 3 });
        expectFinite(
          distances.filter((_, i) => ids[i] !== -1),
          'distances',
        );
        index.pairs();
      } else {
        const query = await outcome(method(index.constructor.name, 'query'), () =>
          index.query(new Float32Array(index.D).fill(0.5), { k: 3 }),
        );
        expectFinite(query?.value.distances.filter((_, i) => query.value.ids[i] !== -1) ?? [], 'distances');
        await outcome(method(index.constructor.name, 'add'), () =>
          index.add(new Float32Array(index.D).fill(1)),
        );
        if (!(index instanceof BruteForceIndex)) {
          await outcome(method(index.constructor.name, 'query'), () =>
            index.query(new Float32Array(index.D), { k: 1, targetRecall: 0.5 }),
          );
        }
      }
      index.dispose();
      return true;
    },
    { share: 1 / 2 },
  );
}

/** All changes one after the other; a header that is broken by then stays as it is. */
function applied(file: Bytes, changes: readonly Damage[]): Bytes {
  return changes.reduce((bytes, how) => {
    try {
      return damaged(bytes, how);
    } catch {
      return bytes;
    }
  }, file);
}

const tensors = writeSafetensors({
  tensors: new Map([
    ['a', { shape: [2, 3], values: normals(6, 1) as Float32Array<ArrayBuffer> }],
    ['b', { shape: [0], values: new Int32Array(0) }],
    ['c', { shape: [], values: new Int32Array([7]) }],
  ]),
  metadata: { made: 'here' },
});

fuzz('parseSafetensors', fc.array(damage, { maxLength: 3 }), async (changes) => {
  const bytes = applied(tensors, changes);
  const read = await outcome(['parseSafetensors'], () => parseSafetensors(bytes));
  const held = [...(read?.value.tensors.values() ?? [])].reduce(
    (sum, { values }) => sum + values.byteLength,
    0,
  );
  // 16-bit floats become 32 bits wide.
  expect(held).toBeLessThanOrEqual(2 * bytes.length);
  return read !== undefined;
});

const whole = new MemoryFolder();
const shards = new MemoryFolder();
const model = smallModel();
await saveReformer(model, whole);
await saveReformer(model, shards, { maxShardBytes: 1500, dtype: 'float16' });
const bits = await bitsOf(model);
model.dispose();

for (const [name, folder] of Object.entries({ 'one file': whole, shards })) {
  fuzz(
    `loadReformer, ${name}`,
    fc.array(fc.tuple(fc.nat(100), damage), { maxLength: 2 }),
    async (changes) => {
      const copy = new MemoryFolder();
      for (const [file, bytes] of folder.files) {
        copy.files.set(file, bytes);
      }
      for (const [which, how] of changes) {
        const file = [...copy.files.keys()][which % copy.files.size] as string;
        const bytes = copy.files.get(file) as Bytes;
        copy.files.set(file, file.endsWith('.json') ? damagedJson(bytes, how) : applied(bytes, [how]));
      }
      const loaded = await outcome(['loadReformer', 'readConfig', 'Reformer'], () => loadReformer(copy));
      if (loaded === undefined) {
        return false;
      }
      if (changes.length === 0 && folder === whole) {
        expect(await bitsOf(loaded.value)).toEqual(bits);
      }
      loaded.value.dispose();
      return true;
    },
    { share: 1 / 4 },
  );
}

function damagedJson(bytes: Bytes, how: Damage): Bytes {
  if (how.kind !== 'field' && how.kind !== 'described') {
    return applied(bytes, [how]);
  }
  try {
    return text.encode(JSON.stringify(changed(JSON.parse(new TextDecoder().decode(bytes)), how)));
  } catch {
    return bytes;
  }
}
