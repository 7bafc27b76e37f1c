/** The safetensors format: what is written and read, and what is refused. */
import { safetensors } from '@jax-js/loaders';
import { describe, expect, test } from 'vitest';
import { decodeFloat16, encodeFloat16 } from '../../src/storage/float16.js';
import { parseSafetensors, type StoredTensor, writeSafetensors } from '../../src/storage/safetensors.js';
import { integers, normals, uniform } from '../inputs.js';
import { toFloat16 } from '../oracle/float16.js';

const TENSORS = new Map<string, StoredTensor>([
  ['matrix', { shape: [5, 7], values: normals(35, 1) as Float32Array<ArrayBuffer> }],
  ['none', { shape: [3, 0], values: new Float32Array(0) }],
  ['scalar ü "quoted"', { shape: [], values: Float32Array.of(-0) }],
  ['7', { shape: [3], values: Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 1e-45) }],
  ['__proto__', { shape: [4], values: integers(4, 2 ** 31 - 1, 2) as Int32Array<ArrayBuffer> }],
]);
const METADATA = { format: 'pt', about: '{"loss": [1, 2], "quote": "\\""}' };

/** A file with this header and data. */
function fileOf(header: unknown, dataBytes = 0): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const file = Buffer.alloc(8 + json.length + dataBytes);
  file.writeBigUInt64LE(BigInt(json.length));
  json.copy(file, 8);
  return file;
}

const entry = (dtype: string, shape: unknown, from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe('a file', () => {
  test('is read as it was written, bit by bit', () => {
    const { tensors, metadata } = parseSafetensors(
      writeSafetensors({ tensors: TENSORS, metadata: METADATA }),
    );
    expect(metadata).toEqual(METADATA);
    expect([...tensors.keys()].sort()).toEqual([...TENSORS.keys()].sort());
    for (const [name, { shape, values }] of TENSORS) {
      expect(tensors.get(name)?.shape).toEqual(shape);
      expect(tensors.get(name)?.values.constructor).toBe(values.constructor);
      expect(Buffer.from(tensors.get(name)?.values.buffer as ArrayBuffer)).toEqual(
        Buffer.from(values.buffer),
      );
    }
  });

  test('has the same bytes each time, and its data at a multiple of 8', () => {
    const file = writeSafetensors({ tensors: TENSORS });
    expect(writeSafetensors({ tensors: TENSORS })).toEqual(file);
    expect(Number(Buffer.from(file).readBigUInt64LE()) % 8).toBe(0);
    expect(parseSafetensors(file).metadata).toEqual({});
  });

  test('is read alike by another reader', () => {
    const one = new Map([['matrix', TENSORS.get('matrix') as StoredTensor]]);
    const { tensors, metadata } = safetensors.parse(writeSafetensors({ tensors: one, metadata: METADATA }));
    expect(tensors.matrix).toMatchObject({ dtype: 'F32', shape: [5, 7], data: one.get('matrix')?.values });
    expect(metadata).toEqual(METADATA);
  });

  test('of other dtypes becomes float32 and int32', () => {
    const data = Buffer.alloc(30);
    for (const [i, half] of [0x3c00, 0xc000, 0x0001].entries()) {
      data.writeUInt16LE(half, 2 * i); // F16: 1, −2, the smallest
      data.writeUInt16LE([0x3f80, 0xc000, 0x7f7f][i] as number, 6 + 2 * i); // BF16: 1, −2, the largest
    }
    data.writeBigInt64LE(-5n, 12);
    data.writeBigInt64LE(2n ** 31n - 1n, 20);
    const header = {
      half: entry('F16', [3], 0, 6),
      brain: entry('BF16', [3], 6, 12),
      long: entry('I64', [2], 12, 28),
    };
    const file = Buffer.concat([fileOf(header), data.subarray(0, 28)]);
    const read = parseSafetensors(file).tensors;
    expect([...(read.get('half')?.values ?? [])]).toEqual([1, -2, 2 ** -24]);
    expect([...(read.get('brain')?.values ?? [])]).toEqual([1, -2, 255 * 2 ** 120]);
    expect(read.get('long')?.values).toEqual(Int32Array.of(-5, 2 ** 31 - 1));
    data.writeBigInt64LE(2n ** 31n, 20);
    expect(() => parseSafetensors(Buffer.concat([fileOf(header), data.subarray(0, 28)]))).toThrow(
      'parseSafetensors: `long` has the value 2147483648, which is no 32-bit integer.',
    );
  });
});

describe('refused is', () => {
  const a = entry('F32', [2], 0, 8);
  test.each([
    ['nothing', new Uint8Array(0), 'it has 0 bytes'],
    [
      'a length beyond the file',
      fileOf('{}').subarray(0, 9),
      'begins with a header of 2 bytes, and has 9 in all',
    ],
    ['an absurd length', Buffer.alloc(16, 0xff), 'begins with a header of 18446744073709551615 bytes'],
    ['a header that is no JSON', fileOf('{"a": '), 'its header is not JSON'],
    ['a header of broken UTF-8', Buffer.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff), 'its header is not JSON'],
    ['a header that is a list', fileOf([]), 'not a JSON object'],
    ['a header that is null', fileOf(null), 'not a JSON object'],
    ['a header with space before it', fileOf(' {}'), 'not a JSON object'],
    ['data without a tensor', fileOf({}, 4), 'its header describes 10 bytes, and it has 14'],
    ['a tensor that is cut off', fileOf({ a }, 7), 'bytes, and it has'],
    [
      'a tensor twice',
      fileOf(`{"a":${JSON.stringify(a)},"\\u0061":${JSON.stringify(a)}}`, 8),
      'names `a` twice',
    ],
    [
      'a dtype twice',
      fileOf('{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}', 8),
      'names `dtype` twice',
    ],
    ['an unknown dtype', fileOf({ a: entry('F31', [2], 0, 8) }, 8), '`a` is of the unknown dtype F31'],
    [
      'a dtype out of the prototype',
      fileOf({ a: entry('toString', [2], 0, 8) }, 8),
      'unknown dtype toString',
    ],
    [
      'a shape of fractions',
      fileOf({ a: entry('F32', [1.5], 0, 6) }, 6),
      '`a` has no dtype, shape and data_offsets',
    ],
    ['a shape below 0', fileOf({ a: entry('F32', [-2, -1], 0, 8) }, 8), '`a` has no dtype, shape'],
    ['a shape that is text', fileOf({ a: entry('F32', '2', 0, 8) }, 8), '`a` has no dtype, shape'],
    [
      'a shape beyond all numbers',
      fileOf({ a: entry('F32', [2 ** 40, 2 ** 40], 0, 8) }, 8),
      'cannot lie in the bytes 0 to 8',
    ],
    [
      'a shape of other bytes',
      fileOf({ a: entry('F32', [3], 0, 8) }, 8),
      '`a`, F32 [3], cannot lie in the bytes 0 to 8',
    ],
    ['offsets in reverse', fileOf({ a: entry('F32', [2], 8, 0) }, 8), 'cannot lie in the bytes 8 to 0'],
    [
      'no offsets',
      fileOf({ a: { dtype: 'F32', shape: [2] } }, 8),
      '`a` has no dtype, shape and data_offsets',
    ],
    ['a hole', fileOf({ a, b: entry('F32', [1], 12, 16) }, 16), '`b` begins at byte'],
    ['an overlap', fileOf({ a, b: entry('F32', [2], 4, 12) }, 12), '`b` begins at byte'],
    ['a hole at the start', fileOf({ a: entry('F32', [1], 4, 8) }, 8), '`a` begins at byte'],
    [
      'metadata that is no text',
      fileOf({ __metadata__: { a: 1 } }),
      'its `__metadata__` is not an object of strings',
    ],
    ['an entry that is null', fileOf({ a: null }), '`a` has no dtype'],
  ] as [string, Uint8Array, string][])('%s', (_, file, problem) => {
    expect(() => parseSafetensors(file)).toThrow(problem);
    expect(() => parseSafetensors(file)).toThrow(
      /^parseSafetensors: the file is damaged, or of another format: .* Get it again\.$/,
    );
  });

  test('a dtype that is no number here', () => {
    expect(() => parseSafetensors(fileOf({ a: entry('F64', [1], 0, 8) }, 8))).toThrow(
      'parseSafetensors: `a` is of dtype F64, and only F32, F16, BF16, I32 and I64 are read.',
    );
  });

  test('what cannot be written', () => {
    const tensors = (name: string, shape: number[]) =>
      new Map([[name, { shape, values: new Float32Array(4) }]]);
    expect(() => writeSafetensors({ tensors: tensors('a', [5]) })).toThrow(
      'writeSafetensors: `a` must have as many values as its shape [5], got 4.',
    );
    expect(() => writeSafetensors({ tensors: tensors('__metadata__', [4]) })).toThrow('Rename it');
    expect(() => parseSafetensors('text' as unknown as Uint8Array)).toThrow(TypeError);
  });
});

test('a mutated file is refused, or read without a byte too much', () => {
  const seed = 20261126;
  const random = uniform(seed);
  const below = (most: number) => Math.floor(random() * most);
  const whole = writeSafetensors({ tensors: TENSORS, metadata: METADATA });
  const headerEnd = 8 + Number(Buffer.from(whole).readBigUInt64LE());
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    let file = Buffer.from(whole);
    for (let changes = 1 + below(3); changes > 0; changes--) {
      const place = below(random() < 0.8 ? Math.min(headerEnd, file.length) : file.length);
      const kind = below(4);
      if (kind === 0) {
        file[place] = below(256);
      } else if (kind === 1) {
        file = file.subarray(0, place);
      } else if (kind === 2) {
        file = Buffer.concat([
          file.subarray(0, place),
          Buffer.from('0123456789,:[]{}"x'.charAt(below(18))),
          file.subarray(place),
        ]);
      } else {
        file = Buffer.concat([file.subarray(0, place), file.subarray(place + 1 + below(9))]);
      }
    }
    try {
      const { tensors } = parseSafetensors(file);
      const bytes = [...tensors.values()].reduce((sum, { values }) => sum + values.byteLength, 0);
      // 16-bit floats double.
      expect(bytes, `seed ${seed}, round ${round}`).toBeLessThanOrEqual(2 * file.length);
    } catch (error) {
      refused++;
      expect((error as Error).message, `seed ${seed}, round ${round}`).toMatch(/^parseSafetensors: .*\.$/s);
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

describe('16-bit floats', () => {
  test('of every pattern are read right, and written back as they were', () => {
    const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, pattern) => pattern);
    const values = decodeFloat16(patterns);
    const back = encodeFloat16(values);
    const wrong = [...patterns].filter((pattern) => {
      const noNumber = (pattern & 0x7fff) > 0x7c00;
      return noNumber
        ? !Number.isNaN(values[pattern]) || ((back[pattern] as number) & 0x7fff) <= 0x7c00
        : back[pattern] !== pattern;
    });
    expect(wrong).toEqual([]);
    expect(values[0x3555]).toBe(0.333251953125);
    expect(values[0x7bff]).toBe(65504);
    expect(values[0x03ff]).toBe(1023 * 2 ** -24);
  });

  test('are the nearest, ties to even', () => {
    // Between neighbours: just below, at and just above the middle; and powers of two, and what rounds up to them.
    const values: number[] = [65519.996, -65519.996, 2 ** -25, 2 ** -25 * 1.0001, 2 ** -26, 1e-30, 0];
    for (let exponent = -26; exponent < 16; exponent++) {
      for (const steps of [1024, 1025, 1026, 1500, 2047]) {
        for (const part of [-0.25, 0, 0.5 - 2 ** -12, 0.5, 0.5 + 2 ** -12]) {
          values.push((steps + part) * 2 ** (exponent - 10));
        }
      }
    }
    const given = Float32Array.from(values, (value, i) => (i % 2 === 0 ? value : -value)).filter(
      (x) => Math.abs(x) < 65520,
    );
    const wrong = Array.from(decodeFloat16(encodeFloat16(given)), (value, i) => [
      given[i] as number,
      value,
    ]).filter(
      ([x, value]) =>
        !Object.is(value, toFloat16(x as number) || (Object.is(x, 0) || (x as number) > 0 ? 0 : -0)),
    );
    expect(wrong).toEqual([]);
  });

  test('are infinite from half a step above the largest', () => {
    expect([...encodeFloat16(Float32Array.of(65520, -65520, 1e38, Number.NEGATIVE_INFINITY))]).toEqual([
      0x7c00, 0xfc00, 0x7c00, 0xfc00,
    ]);
  });
});
