import { at, type Numbers } from './shape.js';

/** The tokens of a row by key, equal keys by position; a key outside 0 … N counts as N. */
export function sortByKey(keys: Numbers, N: number): number[] {
  const key = (token: number) => keyInRange(at(keys, token), N);
  return Array.from(keys, (_, token) => token).sort((a, b) => key(a) - key(b) || a - b);
}

/** A key, or N for one that is out of range. */
export function keyInRange(key: number, N: number): number {
  return key < 0 || key > N ? N : key;
}
