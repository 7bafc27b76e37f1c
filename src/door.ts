/** The checks that every public function makes of what it is given, in the words of the house. */
import type { KernelBackend, Tensor, TensorContainer, TypedArray } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { currentDevice, onWebGPU } from './webgpu/backend.js';
import { type DeviceTraits, traitsOf } from './webgpu/traits.js';
import { whyLost, whyUnusable } from './webgpu/watch.js';

/** Most elements of a tensor that a call makes: 4 GiB of them. */
const MAX_ELEMENTS = 2 ** 30;

/** Errors that begin with the name of a public function. */
const named = new WeakSet<Error>();

function naming<T extends Error>(error: T): T {
  named.add(error);
  return error;
}

/** The checks of one public function: every message begins with its name. */
export class Door {
  constructor(private readonly name: string) {}

  /** Does the function's work in a tidy. What tfjs or the device throws in it gets the function's name. */
  tidy<T extends TensorContainer>(work: () => T): T {
    try {
      return tf.tidy(work);
    } catch (error) {
      if (!(error instanceof Error) || named.has(error)) {
        throw error;
      }
      throw this.failure(`tfjs could not do the work: ${error.message}`, { cause: error });
    }
  }

  affordable(
    what: string,
    count: number,
    wayOut = 'Use fewer rounds, factored buckets such as numBuckets: [64, 128], or a smaller batch.',
    most = MAX_ELEMENTS,
  ): void {
    if (count > most) {
      throw this.range(`the call would need ${count} ${what}, more than 2^${Math.log2(most)}. ${wayOut}`);
    }
  }

  tensor(option: string, value: Tensor, dtypes: readonly string[]): void {
    if (typeof value !== 'object' || value === null || !('dataId' in value && 'isDisposed' in value)) {
      throw this.kind(`\`${option}\` must be a tf.Tensor, got ${show(value)}. Wrap it in tf.tensor().`);
    }
    if (value.isDisposed) {
      throw this.failure(
        `\`${option}\` is disposed. Keep it until the call, with tf.keep() inside tf.tidy().`,
      );
    }
    this.usable(option, value);
    if (!dtypes.includes(value.dtype)) {
      throw this.kind(
        `\`${option}\` must be of dtype ${dtypes.join(' or ')}, got ${value.dtype}. Cast it with tf.cast().`,
      );
    }
  }

  /** Refuses a tensor that went with its device, or that another engine made. */
  usable(option: string, tensor: Tensor): void {
    const why = whyUnusable(tensor);
    if (why !== undefined) {
      throw this.failure(`\`${option}\` cannot be read: ${why}`);
    }
  }

  /** Refuses to go on with a call that began on another backend, or on a device that is lost. */
  goesOn(backend: KernelBackend): void {
    const why = whyLost(backend);
    if (why !== undefined) {
      throw this.failure(why);
    }
    if (tf.backend() !== backend) {
      throw this.changed();
    }
  }

  /** What the device of tfjs's WebGPU backend offers, on which the call began. */
  device(): DeviceTraits {
    if (!onWebGPU()) {
      throw this.changed();
    }
    this.goesOn(tf.backend());
    return traitsOf(currentDevice());
  }

  private changed(): Error {
    return this.failure(
      `the backend has been changed, to '${tf.getBackend()}', while the call was under way. Wait for its result first.`,
    );
  }

  /** The values of a tensor; where they cannot be had, an error with the function's name. */
  async values(tensor: Tensor): Promise<TypedArray> {
    try {
      return await tensor.data();
    } catch (error) {
      throw this.failure(`results cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  sameShape(option: string, value: Tensor, expected: readonly number[], letters: string): void {
    if (value.shape.join() !== expected.join()) {
      throw this.range(`\`${option}\` must have the shape ${letters} = [${expected}], got [${value.shape}].`);
    }
  }

  integer(option: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
    if (!Number.isInteger(value) || value < least || value > most) {
      const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least} up` : `from ${least} to ${most}`;
      throw this.range(`\`${option}\` must be an integer ${bounds}, got ${show(value)}.`);
    }
    return value;
  }

  finite(option: string, value: number): number {
    if (!Number.isFinite(value)) {
      throw this.range(`\`${option}\` must be a finite number, got ${show(value)}.`);
    }
    return value;
  }

  share(option: string, value: number): number {
    if (!(typeof value === 'number' && value >= 0 && value < 1)) {
      throw this.range(`\`${option}\` must be a number from 0 to below 1, got ${show(value)}.`);
    }
    return value;
  }

  flag(option: string, value: boolean): boolean {
    if (typeof value !== 'boolean') {
      throw this.kind(`\`${option}\` must be true or false, got ${show(value)}.`);
    }
    return value;
  }

  /** An array, a typed array, or what else has a length. */
  list<T>(option: string, value: ArrayLike<T>): ArrayLike<T> {
    const length = typeof value === 'object' && value !== null ? value.length : -1;
    if (!Number.isInteger(length) || length < 0) {
      throw this.kind(`\`${option}\` must be a list, got ${show(value)}. Try an array.`);
    }
    return value;
  }

  iterable<T>(option: string, value: Iterable<T>): Iterable<T> {
    if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
      throw this.kind(`\`${option}\` must be an iterable, got ${show(value)}. Try an array.`);
    }
    return value;
  }

  /** A function, or nothing. */
  callback<T>(option: string, value: T | undefined): T | undefined {
    if (value !== undefined && typeof value !== 'function') {
      throw this.kind(`\`${option}\` must be a function, got ${typeof value}.`);
    }
    return value;
  }

  /** An AbortSignal, or nothing. */
  signal(value: AbortSignal | undefined): AbortSignal | undefined {
    if (value !== undefined && !(value instanceof AbortSignal)) {
      throw this.kind(
        `\`signal\` must be an AbortSignal, got ${show(value)}. Try new AbortController().signal.`,
      );
    }
    return value;
  }

  object<T>(option: string, value: T): T {
    if (typeof value !== 'object' || value === null) {
      throw this.kind(`\`${option}\` must be an object, got ${show(value)}.`);
    }
    return value;
  }

  oneOf<T extends string>(option: string, value: T, choices: readonly T[]): T {
    if (!choices.includes(value)) {
      throw this.range(
        `\`${option}\` must be ${choices.map((c) => `'${c}'`).join(' or ')}, got ${show(value)}.`,
      );
    }
    return value;
  }

  known(options: object, names: Readonly<Record<string, true>>): void {
    if (Array.isArray(options) || ArrayBuffer.isView(options)) {
      throw this.kind('`options` must be an object of options by name, got a list.');
    }
    for (const name of Object.keys(this.object('options', options))) {
      if (!Object.hasOwn(names, name)) {
        throw this.kind(`there is no option \`${name}\`. The options are ${Object.keys(names).join(', ')}.`);
      }
    }
  }

  range(message: string, options?: ErrorOptions): RangeError {
    return naming(new RangeError(`${this.name}: ${message}`, options));
  }

  kind(message: string, options?: ErrorOptions): TypeError {
    return naming(new TypeError(`${this.name}: ${message}`, options));
  }

  /** What is wrong with the environment, not with a value. */
  failure(message: string, options?: ErrorOptions): Error {
    return naming(new Error(`${this.name}: ${message}`, options));
  }
}

/** Elements of a list that an error shows. */
const MOST_SHOWN = 8;

/** A value for people, in few words whatever it is; lists in lists are told as such. */
export function show(value: unknown): string {
  if (Array.isArray(value)) {
    const first = value.slice(0, MOST_SHOWN).map((one) => (Array.isArray(one) ? 'a list' : show(one)));
    return `[${[...first, ...(value.length > MOST_SHOWN ? ['…'] : [])].join(', ')}]`;
  }
  switch (typeof value) {
    case 'string':
      return `'${value}'`;
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : 'an object';
    default:
      return String(value);
  }
}
