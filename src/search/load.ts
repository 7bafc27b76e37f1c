import { restoreFamily } from '../hashing/families.js';
import type { FamilyConfig, FamilyWeights } from '../hashing/family.js';
import type { Refuse } from '../storage/header.js';
import { BinaryIndex } from './BinaryIndex.js';
import { BruteForceIndex } from './BruteForceIndex.js';
import { type IndexFile, readIndexFile } from './file.js';
import { FAMILY_PREFIX } from './HashIndex.js';
import { LshIndex } from './LshIndex.js';
import { MinHashLsh } from './MinHashLsh.js';
import type { MinHashLshOptions } from './minHashOptions.js';
import type { HashIndexOptions, IndexOptions } from './options.js';

/** Any index that a file can hold. */
export type SavedIndex = BruteForceIndex | BinaryIndex | LshIndex | MinHashLsh;

/**
 * The index of a file that `save` wrote, on whatever backend.
 *
 * @param file its bytes; borrowed.
 * @throws Error for a file that is damaged, cut off, no index, or of a later version. Indexes in memory are not touched.
 */
export function loadIndex(file: Uint8Array): SavedIndex {
  if (!(file instanceof Uint8Array)) {
    throw new TypeError('loadIndex: `file` must be a Uint8Array. Wrap an ArrayBuffer in one.');
  }
  const refuse: Refuse = (problem) =>
    new Error(`loadIndex: the file cannot be read as an index: ${problem}. Get it again.`);
  const contents = readIndexFile(file, refuse);
  let index: SavedIndex | undefined;
  try {
    index = indexOf(contents);
    index?.restore(contents);
  } catch (error) {
    throw refuse((error as Error).message);
  }
  if (index === undefined) {
    throw refuse(`there is no index ${contents.description.kind}, or no family of that name`);
  }
  return index;
}

function indexOf({ description, tensors }: IndexFile): SavedIndex | undefined {
  const {
    kind,
    options,
    family: saved,
  } = description as {
    readonly kind: string;
    readonly options: IndexOptions & MinHashLshOptions;
    readonly family?: { readonly name: string; readonly config: FamilyConfig };
  };
  if (kind === 'BruteForceIndex') {
    return new BruteForceIndex(options);
  }
  if (kind === 'MinHashLsh') {
    return new MinHashLsh(options);
  }
  const weights = Array.from(tensors)
    .filter(([name]) => name.startsWith(FAMILY_PREFIX))
    .map(([name, { values }]) => [name.slice(FAMILY_PREFIX.length), values]);
  const family =
    saved && restoreFamily(saved.name, saved.config, Object.fromEntries(weights) as FamilyWeights);
  if (family === undefined) {
    return undefined;
  }
  const withFamily: HashIndexOptions = { ...options, family };
  return kind === 'BinaryIndex'
    ? new BinaryIndex(withFamily)
    : kind === 'LshIndex'
      ? new LshIndex(withFamily)
      : undefined;
}
