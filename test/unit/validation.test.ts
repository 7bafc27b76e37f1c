import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  denseAttention,
  denseAttentionWithLse,
  type LshAttentionOptions,
  localAttention,
  lshAttention,
  lshAttentionWithLse,
  lshBuckets,
  plan,
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
} from '../../src/index.js';
import { lshSelfAttention } from '../../src/layers/index.js';
import { BruteForceIndex, crossPolytope, hyperplanes, learnHash } from '../../src/search/index.js';

const SHAPE = [2, 3, 20, 8];
const tensor = (...shape: number[]) => tf.zeros(shape);
const attention = (options: unknown) => () =>
  lshAttention(tensor(...SHAPE), tensor(...SHAPE), options as LshAttentionOptions);
const dense = (options: unknown) => () =>
  denseAttention(tensor(...SHAPE), tensor(...SHAPE), options as LshAttentionOptions);

/** Checks the class exactly, and each text in the message. */
function expectError(call: () => unknown, type: ErrorConstructor, ...texts: (string | RegExp)[]): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, 'what was thrown').toBeInstanceOf(Error);
  expect((error as Error).constructor).toBe(type);
  for (const text of texts) {
    expect((error as Error).message).toMatch(text); // a string is looked for as it stands
  }
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('options out of range', () => {
  test.each<[string, unknown, ...(string | RegExp)[]]>([
    ['numHashes', 0, 'an integer from 1 to 1024', 'got 0'],
    ['numHashes', 1.5, 'an integer from 1 to 1024', 'got 1.5'],
    ['numHashes', Number.NaN, 'got NaN'],
    ['numHashes', '4', "got '4'"],
    ['numHashes', 1025, 'an integer from 1 to 1024', 'got 1025'],
    ['numBuckets', 7, 'an even number from 2 up', 'got 7', 'Try 8'],
    ['numBuckets', 0, 'an even number from 2 up', 'got 0', 'Try 2'],
    ['numBuckets', -4, 'got -4', 'Try 2'],
    ['numBuckets', 2.5, 'got 2.5', 'Try 4'],
    ['numBuckets', Number.POSITIVE_INFINITY, 'got Infinity', 'Try 64'],
    ['numBuckets', [4, 3], 'got 3', 'Try 4'],
    ['numBuckets', 2 ** 21, 'at most 2^20', 'got 2097152', 'Leave it out'],
    ['numBuckets', [2048, 1024], 'got 2097152'],
    ['chunkLength', 0, 'an integer from 1 up', 'got 0'],
    ['chunkLength', -64, 'got -64'],
    ['chunksBefore', -1, 'an integer from 0 up', 'got -1'],
    ['chunksAfter', 0.5, 'an integer from 0 up', 'got 0.5'],
    ['window', 'buckets', "must be 'chunk' or 'bucket'", "got 'buckets'"],
    ['dropout', 1, 'a number from 0 to below 1', 'got 1'],
    ['duplicates', 'none', "'correct' or 'count'", "got 'none'"],
    ['roundBoundary', true, "'stop' or 'wrap'", 'got true'],
    ['scale', 0, 'a number from 1e-37 to 1e18', 'got 0'],
    ['scale', -1, 'got -1'],
    ['scale', Number.POSITIVE_INFINITY, 'got Infinity'],
    ['scale', Number.NaN, 'got NaN'],
    ['scale', 1e-60, 'got 1e-60'],
    ['scale', 1e19, 'got 10000000000000000000'],
    ['scale', 'one', "got 'one'"],
    ['rotation', 'fast', "'gaussian' or 'hadamard'", "got 'fast'"],
    ['rotation', true, "'gaussian' or 'hadamard'", 'got true'],
    ['seed', -1, 'an integer from 0 to 4294967295', 'got -1'],
    ['seed', 2 ** 32, 'got 4294967296'],
    ['seed', 0.5, 'got 0.5'],
  ])('%s: %o', (name, value, ...texts) => {
    expectError(attention({ [name]: value }), RangeError, /^lshAttention: /, `\`${name}\``, ...texts);
  });

  test("'hadamard' with rotations given", () => {
    const options = { rotation: 'hadamard', rotations: tensor(3, 8, 4, 1) };
    const texts = ['`rotations`', "`rotation: 'hadamard'`", 'Leave one of them out'];
    expectError(attention(options), RangeError, /^lshAttention: /, ...texts);
    expectError(attention({ ...options, rotations: [] }), RangeError, ...texts);
  });

  test("'wrap' with duplicates corrected", () => {
    const texts = ["`duplicates: 'correct'`", "Set `duplicates: 'count'`", "`roundBoundary: 'stop'`"];
    expectError(attention({ roundBoundary: 'wrap' }), RangeError, ...texts);
  });

  test("'wrap' where chunks do not divide the length", () => {
    const options = { roundBoundary: 'wrap', duplicates: 'count', chunkLength: 16 };
    expectError(attention(options), RangeError, 'L=20 and C=16', 'Pad to 32', "'stop'");
  });

  test("'wrap' with more chunks than there are", () => {
    const options = { roundBoundary: 'wrap', duplicates: 'count', chunkLength: 10, numHashes: 2 };
    expectError(attention({ ...options, chunksBefore: 5 }), RangeError, '`chunksBefore`', 'from 0 to 4');
    expectError(attention({ ...options, chunksAfter: 5 }), RangeError, '`chunksAfter`', 'from 0 to 4');
    expect(attention({ ...options, chunksBefore: 4 })).not.toThrow();
  });
});

describe('calls of more than 2^30 elements', () => {
  test('bucket ids', () => {
    expectError(
      () => plan({ L: 2 ** 24, D: 1 }, { numHashes: 100 }),
      RangeError,
      'plan: ',
      '1677721600 bucket ids',
      'fewer rounds',
    );
  });
  test('rotations', () => {
    const wide = { numHashes: 64, numBuckets: 2 ** 20 };
    expectError(
      () => plan({ L: 64, D: 64 }, wide),
      RangeError,
      '2147483648 numbers of rotations',
      '[64, 128]',
    );
    expectError(
      () => plan({ H: 8, L: 64, D: 64 }, { ...wide, numHashes: 256, rotation: 'hadamard' }),
      RangeError,
      '3221225472 numbers of rotations',
    );
  });
});

describe('options of the wrong kind', () => {
  test.each<[string, unknown, ...string[]]>([
    ['numBuckets', 'many', "got 'many'", 'Try'],
    ['numBuckets', [], 'got []', 'Try'],
    ['numBuckets', null, 'got null'],
    ['causal', 1, 'true or false', 'got 1'],
    ['acrossBuckets', 'yes', 'true or false', "got 'yes'"],
    ['mask', [1, 0], 'must be a tf.Tensor', 'Wrap it in tf.tensor()'],
    ['rotations', {}, 'must be a tf.Tensor', 'got an object'],
    ['buckets', 3, 'must be a tf.Tensor', 'got 3'],
  ])('%s: %o', (name, value, ...texts) => {
    expectError(attention({ [name]: value }), TypeError, /^lshAttention: /, `\`${name}\``, ...texts);
  });

  test('a name that is no option', () => {
    expectError(attention({ chunkSize: 64 }), TypeError, '`chunkSize`', 'chunkLength');
    expectError(dense({ numHashes: 4 }), TypeError, '`numHashes`', 'causal, mask, scale');
  });

  test.each([null, 7, 'fast'])('options that are %o', (options) => {
    expectError(attention(options), TypeError, '`options` must be an object');
  });
});

describe('tensors', () => {
  const attend = (qk: unknown, v: unknown) => () => lshAttention(qk as tf.Tensor, v as tf.Tensor);

  test('that are none', () => {
    expectError(attend([1, 2], tensor(2, 2)), TypeError, '`qk` must be a tf.Tensor');
    expectError(attend(tensor(2, 2), undefined), TypeError, '`v` must be a tf.Tensor', 'got undefined');
  });

  test('that are disposed', () => {
    const gone = tensor(2, 2);
    gone.dispose();
    expectError(attend(gone, tensor(2, 2)), Error, '`qk` is disposed', 'tf.keep()');
  });

  test('of other dtypes', () => {
    const integers = tf.zeros([4, 4], 'int32');
    expectError(attend(integers, tensor(4, 4)), TypeError, '`qk`', 'float32', 'got int32', 'tf.cast');
    expectError(attend(tensor(4, 4), integers), TypeError, '`v`', 'float32', 'got int32', 'tf.cast');
    expectError(attention({ mask: tensor(2, 20) }), TypeError, '`mask`', 'bool or int32', 'got float32');
    expectError(attention({ buckets: tensor(2, 3, 4, 20) }), TypeError, '`buckets`', 'int32', 'got float32');
    const rotations = tf.zeros([3, 8, 4, 1], 'int32');
    expectError(attention({ rotations }), TypeError, '`rotations`', 'float32', 'got int32');
  });

  test.each([[[4]], [[1, 1, 1, 4, 4]], [[]]])('of shape %o', (shape) => {
    expectError(attend(tensor(...shape), tensor(...shape)), RangeError, '`qk`', '[B, H, L, D]', 'Reshape');
  });

  test('whose shapes do not agree', () => {
    expectError(attend(tensor(4, 8), tensor(5, 8)), RangeError, '`v`', '[5,8] beside [4,8]');
    expectError(attend(tensor(4, 8), tensor(1, 4, 8)), RangeError, '`v`', '[1,4,8]');
    expectError(attention({ mask: tf.ones([20], 'int32') }), RangeError, '`mask`', '[B, L] = [2,20]');
    const buckets = tf.zeros([2, 3, 3, 20], 'int32');
    expectError(attention({ buckets }), RangeError, '`buckets`', '[2,3,4,20], got [2,3,3,20]');
    const rotations = tensor(2, 8, 4, 1);
    expectError(attention({ rotations }), RangeError, '`rotations`', '[3,8,4,1], got [2,8,4,1]');
  });

  test('that are too deep or have no depth', () => {
    expectError(
      attend(tensor(1, 257), tensor(1, 4)),
      RangeError,
      'depth D of `qk`',
      'at most 256',
      'got 257',
      'heads',
    );
    expectError(attend(tensor(1, 4), tensor(1, 257)), RangeError, 'depth E of `v`', 'at most 256', 'got 257');
    expectError(attend(tensor(3, 0), tensor(3, 4)), RangeError, '`D`', 'got 0');
  });

  test.each([-1, 5])('bucket %i of 4', (bucket) => {
    const buckets = tf.fill([2, 3, 4, 20], bucket, 'int32');
    const texts = [
      '`buckets`',
      '0 … 4 (4, in every round, for padding)',
      `got ${bucket} at element 0`,
      '`numBuckets`',
    ];
    expectError(attention({ buckets, numBuckets: 4 }), RangeError, ...texts);
  });

  test('a token that is padding in one round alone', () => {
    const values = new Int32Array(2 * 3 * 4 * 20);
    values[20 + 3] = 4;
    const buckets = tf.tensor(values, [2, 3, 4, 20], 'int32');
    const texts = ['`buckets`', '4, in every round, for padding', 'got 4 at element 23'];
    expectError(attention({ buckets, numBuckets: 4 }), RangeError, ...texts);
  });
});

describe('dropout of dense attention', () => {
  test.each([1, -0.1, Number.NaN, '0.1'])('%o', (dropout) => {
    expectError(
      dense({ dropout }),
      RangeError,
      'denseAttention: `dropout` must be a number from 0 to below 1',
    );
  });
  test('its seed', () => expectError(dense({ seed: -1 }), RangeError, '`seed`', 'got -1'));
});

describe('attention between two sequences', () => {
  const x = (...shape: number[]) => tensor(...(shape.length === 0 ? SHAPE : shape));
  const across = (options: object, q = x(), k = x(), v = x()) =>
    expect(() => scaledDotProductAttention(q, k, v, options));
  test.each([
    ['causal', 1, 'true or false, got 1'],
    ['scale', Number.NaN, 'a number from 1e-37 to 1e18'],
    ['dropout', 1, 'a number from 0 to below 1, got 1'],
    ['seed', -1, 'an integer from 0 to 4294967295'],
  ])('%s: %o', (name, value, text) => {
    across({ [name]: value }).toThrow(`scaledDotProductAttention: \`${name}\` must be ${text}`);
  });
  test('tensors and names', () => {
    across({}, tensor(4)).toThrow('`q` must have the shape [L, D], [H, L, D] or [B, H, L, D]');
    across({}, x(), tensor(20, 8)).toThrow('as many axes as `q`, got [20,8] beside [2,3,20,8]. Reshape it.');
    across({}, x(), tensor(2, 3, 9, 8)).toThrow('`k` must have the shape of `v`');
    across({}, x(), tensor(2, 3, 20, 7)).toThrow('= [2,3,20,8], got [2,3,20,7]');
    across({}, x(), x(), tensor(2, 4, 20, 8)).toThrow('`v` must have the shape');
    across({}, x(), x(), tensor(2, 3, 20, 300)).toThrow('depth E of `v` must be at most 256');
    across({ numHashes: 2 }).toThrow('there is no option `numHashes`. The options are causal, mask, scale');
  });
  test.each([
    [[2, 19], '[B, Lk] = [2,20], got [2,19]'],
    [[3, 20, 20], '[B, Lk] = [2,20], got [3,20,20]'],
    [[2, 3, 20, 1], '[B or 1, H or 1, L or 1, Lk] = [2,3,20,20], got [2,3,20,1]'],
    [[1, 2, 1, 20], '[B or 1, H or 1, L or 1, Lk] = [1,3,1,20], got [1,2,1,20]'],
  ])('a mask of shape %o', (shape, text) => {
    across({ mask: tf.ones(shape, 'int32') }).toThrow(`\`mask\` must have the shape ${text}`);
  });
  test('a mask of floats', () => {
    across({ mask: tensor(2, 20) }).toThrow('`mask` must be of dtype bool or int32, got float32');
  });
});

describe('local attention', () => {
  const x = () => tensor(2, 3, 20, 8);
  const local = (options: object, q = x(), k = x(), v = x()) =>
    expect(() => localAttention(q, k, v, options));
  test.each([
    ['chunkLength', 0, 'an integer from 1 up, got 0'],
    ['chunksBefore', -1, 'an integer from 0 up, got -1'],
    ['chunksAfter', 1.5, 'an integer from 0 up, got 1.5'],
    ['boundary', 'round', "'stop' or 'wrap', got 'round'"],
    ['causal', 'yes', "true or false, got 'yes'"],
    ['scale', 0, 'a number from 1e-37 to 1e18'],
    ['dropout', 1, 'a number from 0 to below 1, got 1'],
    ['seed', 0.5, 'an integer from 0 to 4294967295'],
  ])('%s: %o', (name, value, text) => {
    local({ [name]: value }).toThrow(`localAttention: \`${name}\` must be ${text}`);
  });
  test('chunks round the ends', () => {
    local({ boundary: 'wrap', chunkLength: 8 }).toThrow(
      "`boundary: 'wrap'` needs a length that is a multiple",
    );
    local({ boundary: 'wrap', chunkLength: 10, chunksBefore: 3 }).toThrow(
      '`chunksBefore` must be an integer from 0 to 2, got 3',
    );
  });
  test('tensors and names', () => {
    local({}, tensor(4)).toThrow('localAttention: `q` must have the shape');
    local({}, x(), tensor(2, 3, 20, 7)).toThrow(
      '`k` must have the shape of `q` = [2,3,20,8], got [2,3,20,7]',
    );
    local({}, x(), x(), tensor(2, 3, 19, 8)).toThrow('`v` must have the shape of `q` but for its last axis');
    local({}, tensor(2, 3, 20, 300), tensor(2, 3, 20, 300)).toThrow('depth D of `q` must be at most 256');
    local({ mask: tensor(2, 20) }).toThrow('`mask` must be of dtype bool or int32, got float32');
    local({ numHashes: 2 }).toThrow(
      'there is no option `numHashes`. The options are chunkLength, chunksBefore',
    );
  });
});

describe('every function names itself', () => {
  const x = () => tensor(4, 8);
  test.each<[string, () => unknown]>([
    ['lshAttention', () => lshAttention(x(), x(), { numHashes: 0 })],
    ['lshAttentionWithLse', () => lshAttentionWithLse(x(), x(), { numHashes: 0 })],
    ['lshBuckets', () => lshBuckets(x(), { numHashes: 0 })],
    ['plan', () => plan({ L: 4, D: 8 }, { numHashes: 0 })],
    ['denseAttention', () => denseAttention(x(), x(), { scale: 0 })],
    ['denseAttentionWithLse', () => denseAttentionWithLse(x(), x(), { scale: 0 })],
    ['scaledDotProductAttention', () => scaledDotProductAttention(x(), x(), x(), { scale: 0 })],
    ['scaledDotProductAttentionWithLse', () => scaledDotProductAttentionWithLse(x(), x(), x(), { scale: 0 })],
  ])('%s', (name, call) => {
    expectError(call, RangeError, new RegExp(`^${name}: `));
  });
});

test('plan refuses sizes that no tensor has', () => {
  expectError(() => plan({ L: -1, D: 4 }), RangeError, '`L`', 'got -1');
  expectError(() => plan({ L: 2 ** 24 + 1, D: 4 }), RangeError, 'length L', 'at most 2^24', 'Split');
  expectError(() => plan({ B: 0.5, L: 4, D: 4 }), RangeError, '`B`', 'got 0.5');
});

describe('what random calls found', () => {
  const nameless = Object.create(null) as number;

  test('options that are a list', async () => {
    expectError(() => lshAttention(tensor(4, 8), tensor(4, 8), [] as object), TypeError, 'got a list');
    const index = new BruteForceIndex({ D: 2 });
    await index.build(new Float32Array(2));
    // It has a method of the name of an option.
    await expect(index.query(new Float32Array(2), new Uint8Array(0) as object)).rejects.toThrow(
      'BruteForceIndex.query: `options` must be an object of options by name, got a list',
    );
  });

  test('families that take minutes to draw', () => {
    expectError(() => hyperplanes({ D: 2 ** 24 }), RangeError, '`D`', 'from 1 to 1048576', 'got 16777216');
    expectError(() => hyperplanes({ D: 2 ** 20 }), RangeError, 'hyperplanes, more than 2^26', 'fewer tables');
    expectError(() => crossPolytope({ D: 64, numBuckets: 2 ** 24 }), RangeError, 'rotations, more than 2^26');
  });

  test('a cost beyond float32', async () => {
    const rows = Float32Array.of(1, -1);
    await expect(learnHash(rows, [0, 1], { solver: 'newton', cost: 1e300 })).rejects.toThrow(
      'learnHash: `cost` must leave hyperplanes within float32, got 1e+300',
    );
  });

  test('objects that no text can be made of', () => {
    const args = { numHeads: 1, keyDim: 4, chunkLength: nameless };
    expectError(
      () => lshSelfAttention({ ...args, roundBoundary: 'wrap', duplicates: 'count' }),
      RangeError,
      'LSHSelfAttention: `chunkLength` must be an integer from 1 up, got an object',
    );
  });
});
