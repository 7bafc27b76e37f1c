/** What callers say of the hash functions they want, checked. */
import { type Door, show } from '../door.js';
import type { VectorFamily } from './family.js';

/** Most numbers of a vector. */
export const MOST_NUMBERS = 2 ** 20;
/** Most random numbers that a family is drawn from: seconds of a processor, and 256 MiB. */
export const MOST_DRAWN = 2 ** 26;

/** A family for vectors of D numbers, given by the option of a name. */
export function givenFamily(door: Door, option: string, value: VectorFamily, D: number): VectorFamily {
  if (typeof value !== 'object' || value === null || typeof value.hashTensor !== 'function') {
    throw door.kind(
      `\`${option}\` must be a family of hash functions for vectors, got ${show(value)}. Try hyperplanes({ D: ${D} }) of tfjs-lsh-attention/search.`,
    );
  }
  if (value.D !== D) {
    throw door.range(`\`${option}\` must be made for vectors of D = ${D} numbers, got D = ${show(value.D)}.`);
  }
  return value;
}

/** Numbers of buckets as a list of even factors, `most` in all. */
export function givenFactors(door: Door, given: number | readonly number[], most: number): readonly number[] {
  const factors = typeof given === 'number' ? [given] : given;
  if (!Array.isArray(factors) || factors.length === 0) {
    throw door.kind(
      `\`numBuckets\` must be an even number from 2 up or a list of such, got ${show(given)}. Try [16, 32].`,
    );
  }
  for (const factor of factors) {
    if (!Number.isInteger(factor) || factor < 2 || factor % 2 !== 0) {
      const near = Number.isFinite(factor) ? Math.max(2, 2 * Math.ceil(factor / 2)) : 64;
      throw door.range(`\`numBuckets\` must be an even number from 2 up, got ${show(factor)}. Try ${near}.`);
    }
  }
  const all = factors.reduce((product: number, f: number) => product * f, 1);
  if (all > most) {
    throw door.range(
      `\`numBuckets\` must be at most 2^${Math.log2(most)} in all, got ${all}. Leave it out for a number that suits the length.`,
    );
  }
  return factors;
}
