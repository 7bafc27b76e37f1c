import type { Door } from '../../door.js';
import { type MinHashScheme, SCHEMES } from './schemes.js';

/** Options of MinHash signatures. */
export interface MinHashOptions {
  /** k, hash functions, and numbers of a signature: an integer from 1 to 65,536. @default 128 */
  readonly numHashes?: number;
  /** Of the hash functions: an integer from 0 to 2^32 − 1. datasketch's own default is 1. @default 0 */
  readonly seed?: number;
  /** Which hash functions. @default 'fmix32' */
  readonly scheme?: MinHashScheme;
}

const NAMES: Record<keyof MinHashOptions, true> = { numHashes: true, seed: true, scheme: true };

export const DEFAULTS = { numHashes: 128, seed: 0, scheme: 'fmix32' } as const;
const MOST_HASHES = 2 ** 16;

/** Options filled in and checked; `others` are names of options that the caller looks after. */
export function checkedFunctions(
  options: MinHashOptions,
  door: Door,
  others: Readonly<Record<string, true>> = {},
): { readonly scheme: MinHashScheme; readonly k: number; readonly seed: number } {
  door.known(options, { ...NAMES, ...others });
  return {
    scheme: door.oneOf('scheme', options.scheme ?? DEFAULTS.scheme, SCHEMES),
    k: door.integer('numHashes', options.numHashes ?? DEFAULTS.numHashes, 1, MOST_HASHES),
    seed: door.integer('seed', options.seed ?? DEFAULTS.seed, 0, 2 ** 32 - 1),
  };
}
