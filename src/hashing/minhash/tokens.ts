/** Tokens, the members of sets: what makes two of them equal, and the 32-bit word that stands for one in a hash. */
import type { Door } from '../../door.js';

/** A member of a set: a safe integer, a string, or bytes. A number never equals a string, nor a string bytes. */
export type Token = number | string | Uint8Array;

/** Makes the word of a string or of bytes. */
export type WordOfBytes = (bytes: Uint8Array) => number;

/** The bytes of short strings are written here, so that hashing one allocates nothing. */
const scratch = new Uint8Array(1024);
const encoder = new TextEncoder();
/** A string cannot begin with half a character unless it is broken: such ones make room for bytes. */
const BYTES = '\ud800';

/** A key by which equal tokens, and they alone, are equal in a Map or a Set. */
export function tokenKey(token: Token, door: Door): number | string {
  if (typeof token === 'string') {
    return token.startsWith(BYTES) ? BYTES + token : token;
  }
  if (typeof token === 'number') {
    return checkedInteger(token, door);
  }
  return BYTES + Array.from(checkedBytes(token, door), (byte) => String.fromCharCode(byte)).join('');
}

/** The word of a token: integers from 0 to 2^32 − 1 are their own. */
export function tokenWord(token: Token, wordOfBytes: WordOfBytes, door: Door): number {
  if (typeof token === 'number') {
    const high = Math.floor(checkedInteger(token, door) / 2 ** 32);
    return high === 0 ? token : (token ^ fmix32(high)) >>> 0;
  }
  return wordOfBytes(typeof token === 'string' ? utf8(token) : checkedBytes(token, door));
}

/** The words of many tokens; those of unsigned 32-bit integers are shared, not copied. */
export function tokenWords(tokens: Iterable<Token>, wordOfBytes: WordOfBytes, door: Door): Uint32Array {
  if (tokens instanceof Uint32Array) {
    return tokens;
  }
  return Uint32Array.from(checkedSet(tokens, door), (token) => tokenWord(token, wordOfBytes, door));
}

/** Refuses what is no set of tokens; a string is a token, not the set of its letters. */
export function checkedSet(tokens: Iterable<Token>, door: Door): Iterable<Token> {
  if (typeof tokens !== 'object' || tokens === null || !(Symbol.iterator in tokens)) {
    throw door.kind('a set must be an iterable of tokens, such as an array or a Set. Try [token].');
  }
  return tokens;
}

function checkedInteger(token: number, door: Door): number {
  if (!Number.isSafeInteger(token)) {
    throw door.range(`a number in a set must be a safe integer, got ${token}. Try String(token).`);
  }
  return token;
}

function checkedBytes(token: Uint8Array, door: Door): Uint8Array {
  if (!(token instanceof Uint8Array)) {
    throw door.kind(`a token must be an integer, a string or a Uint8Array, got ${typeof token}.`);
  }
  return token;
}

function utf8(text: string): Uint8Array {
  if (3 * text.length > scratch.length) {
    return encoder.encode(text);
  }
  return scratch.subarray(0, encoder.encodeInto(text, scratch).written);
}

/** The finaliser of MurmurHash3, a bijection of 32-bit words (Appleby, 2011). */
export function fmix32(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** MurmurHash3 of bytes, x86, 32 bits, seed 0. */
export function murmurWord(bytes: Uint8Array): number {
  const whole = bytes.length & ~3;
  let h = 0;
  for (let i = 0; i < whole; i += 4) {
    h = withBlock(h, littleEndian(bytes, i));
  }
  return fmix32(h ^ scrambled(littleEndian(bytes, whole)) ^ bytes.length);
}

/** MurmurHash3 of the bytes of words, little-endian. */
export function murmurOfWords(words: Uint32Array): number {
  return fmix32(words.reduce(withBlock, 0) ^ (4 * words.length));
}

function withBlock(h: number, block: number): number {
  const mixed = h ^ scrambled(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** Bytes beyond the end are zero. */
function littleEndian(bytes: Uint8Array, at: number): number {
  const byte = (i: number) => bytes[at + i] ?? 0;
  return byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24);
}

function scrambled(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}
