import { at, type Numbers } from './shape.js';

/** The tokens of a row by key, equal keys by position; −1−b is sorted as b, a key beyond N as N. */
export function sortByKey(keys: Numbers, N: number): number[] {
  const key = (token: number) => keyInRange(at(keys, token), N);
  return Array.from(keys, (_, token) => token).sort((a, b) => key(a) - key(b) || a - b);
}

/** What a key is sorted as. */
export function keyInRange(key: number, N: number): number {
  return Math.min(key < 0 ? -1 - key : key, N);
}
