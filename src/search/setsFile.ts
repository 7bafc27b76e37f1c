/** What the file of a MinHashLsh holds. */
import { type FileTensor, fileTensor, type IndexFile } from './file.js';
import type { SetBatch } from './SetStore.js';
import type { Key } from './TokenSets.js';

/** Sets with their ids. */
export interface KeptSets {
  readonly batch: SetBatch;
  readonly ids: Int32Array;
}

/** Tokens come in an order of their own: indexes of the same sets have the same file, in whatever order tokens came. */
export function tensorsOfSets({ batch, ids }: KeptSets): ReadonlyMap<string, FileTensor> {
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
  // JSON knows numbers, strings and broken characters; spaces behind fill the last word.
  const text = new TextEncoder().encode(JSON.stringify([...numbers.keys()]));
  const words = new Uint32Array(Math.ceil(text.length / 4));
  new Uint8Array(words.buffer).fill(0x20).set(text);
  return new Map([
    ['ids', fileTensor(Int32Array.from(ids))],
    ['signatures', fileTensor(signatures.slice())],
    ['starts', fileTensor(Int32Array.from(starts))],
    ['members', fileTensor(Int32Array.from(members))],
    ['tokens', fileTensor(words)],
  ]);
}

/** @throws Error for tensors that do not fit together; k is the length of a signature. */
export function setsOfTensors({ tensors }: IndexFile, k: number): KeptSets {
  const values = (name: string, type: typeof Int32Array | typeof Uint32Array) => {
    const found = tensors.get(name)?.values;
    if (!(found instanceof type)) {
      throw new Error(`it has no integers \`${name}\``);
    }
    return found;
  };
  const ids = values('ids', Int32Array) as Int32Array;
  const signatures = values('signatures', Uint32Array) as Uint32Array;
  const starts = values('starts', Int32Array);
  const members = values('members', Int32Array);
  const text = new TextDecoder().decode(values('tokens', Uint32Array) as Uint32Array<ArrayBuffer>);
  const tokens = tokensOf(text);
  if (starts.length !== ids.length + 1 || signatures.length !== ids.length * k) {
    throw new Error('its parts are of different lengths');
  }
  const keys = Array.from(ids, (_, i) => {
    const set = Array.from(members.subarray(starts[i], starts[i + 1]), (number) => tokens[number]);
    if (!set.every((key) => typeof key === 'string' || Number.isSafeInteger(key))) {
      throw new Error(`set ${i} has tokens that are not there`);
    }
    return new Set(set as Key[]);
  });
  return { ids, batch: { signatures, keys } };
}

/** The tokens of a file. */
function tokensOf(text: string): readonly Key[] {
  try {
    const tokens = JSON.parse(text);
    if (Array.isArray(tokens)) {
      return tokens;
    }
  } catch {
    // Said below.
  }
  throw new Error('its tokens are no list');
}

function byKindAndValue(a: Key, b: Key): number {
  if (typeof a !== typeof b) {
    return typeof a === 'number' ? -1 : 1;
  }
  return a < b ? -1 : Number(a > b);
}
