/** What nobody should give a function, and somebody will. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { normals } from '../inputs.js';

/** A tensor that a case asks for; it is made when the case runs, so that cases can be printed and repeated. */
export class Wanted {
  constructor(
    readonly shape: readonly number[],
    readonly dtype: 'float32' | 'int32' | 'bool' | 'string',
    readonly values: readonly number[] | Float32Array | Int32Array,
    readonly isDisposed = false,
  ) {}

  make(): tf.Tensor {
    const values = this.dtype === 'string' ? Array.from(this.values, String) : this.values;
    const tensor = tf.tensor(values as number[], [...this.shape], this.dtype);
    if (this.isDisposed) {
      tensor.dispose();
    }
    return tensor;
  }
}

/** Normal numbers of a size, as a float32 tensor; + 0 leaves no −0, which sums do not keep. */
export function floats(shape: readonly number[], seed: number, size = 1): Wanted {
  const count = shape.reduce((product, n) => product * n, 1);
  return new Wanted(
    shape,
    'float32',
    normals(count, seed).map((x) => x * size + 0),
  );
}

/** Any small tensor, of any kind. */
export const anyTensor: fc.Arbitrary<Wanted> = fc
  .record({
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }),
    dtype: fc.constantFrom('float32' as const, 'int32' as const, 'bool' as const, 'string' as const),
    isDisposed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ shape, dtype, isDisposed }) => {
    const count = shape.reduce((product, n) => product * n, 1);
    return new Wanted(shape, dtype, Array<number>(count).fill(1), isDisposed);
  });

const endless: unknown[] = [];
endless.push(endless);

const STRANGE: readonly unknown[] = [
  ...[null, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, -0, 0.5, 1.5, 3],
  ...[2 ** 24, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e300, 10n, '', 'junk', '4', true, false],
  ...[Symbol('junk'), {}, [], [[]], [null], [2, 'x'], [0.5], [Symbol('in a list')], endless, () => 1],
  ...[
    new Map(),
    new Date(0),
    Object.create(null),
    new Float32Array(5),
    new Uint8Array(0),
    Promise.resolve(1),
  ],
  ...[
    { length: 3 },
    { length: -1 },
    { length: 2 ** 40 },
    { D: 3 },
    { shape: 5, dataId: {}, isDisposed: false },
  ],
];

/** Any value but undefined, which is what was not given. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...STRANGE) },
  { weight: 1, arbitrary: anyTensor },
);

/** Mostly `valid`, else junk. */
export function mostly<T>(valid: fc.Arbitrary<T>, every = 15): fc.Arbitrary<T> {
  const strange = junk as fc.Arbitrary<T>;
  return fc.oneof({ weight: every, arbitrary: valid }, { weight: 1, arbitrary: strange });
}

/** Mostly nothing. */
export function rarely<T>(strange: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: strange });
}

/** Options, some of those in `valid`; in one of four cases one is junk, or not an option at all. */
export function optionsOf<T extends Record<string, fc.Arbitrary<unknown>>>(
  valid: T,
  requiredKeys: (keyof T & string)[] = [],
): fc.Arbitrary<Record<string, unknown>> {
  const surplus = ['surplus', 'toString', 'constructor', 'numhashes'];
  const spoilt = fc.tuple(fc.constantFrom(...Object.keys(valid), ...surplus), junk);
  const given = fc.record(valid, { requiredKeys }) as fc.Arbitrary<Record<string, unknown>>;
  const whole = fc
    .tuple(given, fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: spoilt }))
    .map(([options, spoil]) => (spoil === null ? options : { ...options, [spoil[0]]: spoil[1] }));
  return mostly(whole, 40);
}

/** Whether numbers of options ask for more than a test should take, and no rule forbids: some memories hold that. */
export function isLarge(options: unknown, names: readonly string[]): boolean {
  const given = (options ?? {}) as Record<string, unknown>;
  return names.some((name) => typeof given[name] === 'number' && given[name] >= 2 ** 20);
}

/** The value with all that it wants made: tensors, which are disposed at the end. */
export async function withReal<T, R>(value: T, during: (real: T) => Promise<R>): Promise<R> {
  const made: tf.Tensor[] = [];
  try {
    return await during(real(value, made, new Set()) as T);
  } finally {
    tf.dispose(made.filter((tensor) => !tensor.isDisposed));
  }
}

function real(value: unknown, made: tf.Tensor[], above: ReadonlySet<unknown>): unknown {
  if (value instanceof Wanted) {
    const tensor = value.make();
    made.push(tensor);
    return tensor;
  }
  const isPlain =
    Array.isArray(value) ||
    (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype);
  if (!isPlain || above.has(value)) {
    return value;
  }
  const inside = new Set([...above, value]);
  return Array.isArray(value)
    ? value.map((one) => real(one, made, inside))
    : Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, real(one, made, inside)]));
}
