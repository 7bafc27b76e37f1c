/** The file of a MinHashLsh: safetensors, with the options in its metadata. */
import { parseSafetensors, type StoredTensor, writeSafetensors } from '../storage/safetensors.js';
import type { SearchDoor } from './door.js';
import type { MinHashLshOptions } from './minHashOptions.js';
import type { SetBatch } from './SetStore.js';
import type { Key } from './TokenSets.js';

const KIND = 'MinHashLsh';
const VERSION = 1;

/** What is saved. */
export interface SetsFile {
  readonly options: MinHashLshOptions;
  readonly batch: SetBatch;
  readonly ids: Int32Array;
}

/**
 * The bytes of an index. Tokens come in an order of their own: indexes of the same sets have the same file, whatever order
 * their tokens came in.
 */
export function writeSets({ options, batch, ids }: SetsFile): Uint8Array<ArrayBuffer> {
  const { signatures, keys } = batch;
  const numbers = new Map<Key, number>();
  const starts = [0];
  const members: number[] = [];
  for (const set of keys) {
    for (const key of [...set].sort(byKindAndValue)) {
      const number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
      members.push(number);
    }
    starts.push(members.length);
  }
  const text = new TextEncoder().encode(JSON.stringify([...numbers.keys()]));
  const padded = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(0x20);
  padded.set(text);
  return writeSafetensors({
    metadata: { kind: KIND, version: String(VERSION), options: JSON.stringify(options) },
    tensors: new Map([
      ['ids', list(Int32Array.from(ids))],
      ['signatures', list(new Int32Array(signatures))],
      ['starts', list(Int32Array.from(starts))],
      ['members', list(Int32Array.from(members))],
      ['tokens', list(new Int32Array(padded.buffer))],
    ]),
  });
}

/** @throws Error for what is no file of such an index. */
export function readSets(file: Uint8Array, door: SearchDoor): SetsFile {
  const refuse = (problem: string, cause?: unknown) =>
    door.failure(`the file is no ${KIND} that can be read: ${problem}. Build the index again, and save it.`, {
      cause,
    });
  const { tensors, metadata } = parsed(file, refuse);
  if (metadata.kind !== KIND) {
    throw refuse(metadata.kind === undefined ? 'it holds something else' : `it holds a ${metadata.kind}`);
  }
  if (!(Number(metadata.version) <= VERSION)) {
    throw refuse(`it is of version ${metadata.version}, and this is ${VERSION}; a newer release reads it`);
  }
  const integers = (name: string): Int32Array => {
    const values = tensors.get(name)?.values;
    if (!(values instanceof Int32Array)) {
      throw refuse(`it has no integers \`${name}\``);
    }
    return values;
  };
  try {
    const options = JSON.parse(metadata.options ?? '') as MinHashLshOptions & { readonly numHashes: number };
    const ids = integers('ids');
    const signatures = new Uint32Array(integers('signatures'));
    const text = new TextDecoder().decode(new Uint8Array(integers('tokens').buffer));
    const tokens = JSON.parse(text) as Key[];
    const keys = readKeys(integers('starts'), integers('members'), tokens);
    if (keys.length !== ids.length || signatures.length !== ids.length * options.numHashes) {
      throw refuse('its parts are of different lengths');
    }
    return { options, ids, batch: { signatures, keys } };
  } catch (cause) {
    throw cause instanceof SyntaxError || cause instanceof RangeError ? refuse(cause.message, cause) : cause;
  }
}

function parsed(file: Uint8Array, refuse: (problem: string, cause?: unknown) => Error) {
  try {
    return parseSafetensors(file);
  } catch (cause) {
    throw cause instanceof TypeError ? cause : refuse((cause as Error).message, cause);
  }
}

function readKeys(starts: Int32Array, members: Int32Array, tokens: readonly Key[]): Set<Key>[] {
  return Array.from({ length: Math.max(0, starts.length - 1) }, (_, i) => {
    const keys = Array.from(members.subarray(starts[i], starts[i + 1]), (number) => tokens[number]);
    if (!keys.every((key) => typeof key === 'string' || Number.isSafeInteger(key))) {
      throw new RangeError(`set ${i} has tokens that are not there`);
    }
    return new Set(keys as Key[]);
  });
}

function byKindAndValue(a: Key, b: Key): number {
  if (typeof a !== typeof b) {
    return typeof a === 'number' ? -1 : 1;
  }
  return a < b ? -1 : Number(a > b);
}

function list(values: Int32Array<ArrayBuffer>): StoredTensor {
  return { shape: [values.length], values };
}
