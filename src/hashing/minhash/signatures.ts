import { Door } from '../../door.js';
import { onWebGPU } from '../../webgpu/backend.js';
import { checkedFunctions, type MinHashOptions } from './options.js';
import { drawFunctions, type HashFunctions, lowerMinima } from './schemes.js';
import { type Token, tokenWords } from './tokens.js';
import { signaturesOnWebGPU } from './webgpu.js';

/**
 * The MinHash signatures of many sets, `[n, k]`, row after row: the same numbers as those of `MinHash`. On tfjs's
 * WebGPU backend a kernel computes them, else loops over typed arrays do.
 *
 * @param sets each an iterable of tokens; a `Uint32Array` is read as it is, without a copy.
 * @throws RangeError or TypeError for an option or a token that is not allowed.
 */
export async function minHashSignatures(
  sets: Iterable<Iterable<Token>>,
  options: MinHashOptions = {},
): Promise<Uint32Array> {
  const door = new Door('minHashSignatures');
  const { scheme, k, seed } = checkedFunctions(options, door);
  const functions = drawFunctions(scheme, k, seed);
  return await signaturesOf(wordsOf(sets, functions, door), functions, door);
}

/** The words of each set. */
export function wordsOf(
  sets: Iterable<Iterable<Token>>,
  { wordOfBytes }: HashFunctions,
  door: Door,
): Uint32Array[] {
  return Array.from(checkedSets(sets, door), (set) => tokenWords(set, wordOfBytes, door));
}

/** Signatures `[n, k]` of sets of words, by the current backend. */
export async function signaturesOf(
  sets: readonly Uint32Array[],
  functions: HashFunctions,
  door: Door,
): Promise<Uint32Array> {
  return onWebGPU() ? await signaturesOnWebGPU(sets, functions, door) : signaturesOnCpu(sets, functions);
}

function signaturesOnCpu(sets: readonly Uint32Array[], functions: HashFunctions): Uint32Array {
  const { k } = functions;
  const signatures = new Uint32Array(sets.length * k).fill(0xffffffff);
  for (const [i, words] of sets.entries()) {
    lowerMinima(signatures.subarray(i * k, (i + 1) * k), words, words.length, functions);
  }
  return signatures;
}

/** Refuses what is no list of sets. */
export function checkedSets(sets: Iterable<Iterable<Token>>, door: Door): Iterable<Iterable<Token>> {
  if (typeof sets !== 'object' || sets === null || !(Symbol.iterator in sets)) {
    throw door.kind('`sets` must be an iterable of sets, each an iterable of tokens. Try [set].');
  }
  return sets;
}
