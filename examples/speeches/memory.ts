/**
 * A memory without training. Every word has a random vector; a position's query and key is made of
 * its last few words' vectors, its value is the vector of the word that follows. Attention then
 * finds earlier places with the same words before them, and answers with what followed there.
 */

/** D: depth of queries and keys, and E: depth of values. */
export const D = 64;
export const E = 64;

/** The words of a context, and what each weighs: the last word most. */
const WEIGHTS = [1, 0.8, 0.6, 0.45] as const;
export const CONTEXT = WEIGHTS.length;

/**
 * The length of every query. Keys have length 1, so a logit is this number times the cosine between
 * two contexts: it has to lift one equal context above the sum of all unequal ones.
 */
const SHARPNESS = 30;

/** Streams of random numbers: one for each place in a context, one for the values. */
const VALUE_STREAM = CONTEXT;

export interface Memory {
  /** `[L, D]` */
  readonly qk: Float32Array;
  /** `[L, E]`, of unit length: position i holds the word i + 1. */
  readonly v: Float32Array;
}

/** The memory of words `end − length … end − 1`; the word at `end` is the last one's value. */
export function memoryOf(words: Uint32Array, end: number, length: number): Memory {
  const qk = new Float32Array(length * D);
  const v = new Float32Array(length * E);
  const norm = SHARPNESS / Math.sqrt(D * WEIGHTS.reduce((sum, weight) => sum + weight * weight, 0));
  const first = end - length;
  for (let i = 0; i < length; i++) {
    const query = qk.subarray(i * D, (i + 1) * D);
    WEIGHTS.forEach((weight, back) => {
      const word = words[first + i - back];
      if (word !== undefined) {
        addSigns(query, word, back, weight * norm);
      }
    });
    addSigns(v.subarray(i * E, (i + 1) * E), words[first + i + 1] as number, VALUE_STREAM, 1 / Math.sqrt(E));
  }
  return { qk, v };
}

/** The value that stands for a word. */
export function valueOfWord(word: number): Float32Array {
  const value = new Float32Array(E);
  addSigns(value, word, VALUE_STREAM, 1 / Math.sqrt(E));
  return value;
}

/** Adds the word's random vector of ±size: the same for the same word and stream, in any order, on any machine. */
function addSigns(vector: Float32Array, word: number, stream: number, size: number): void {
  let bits = 0;
  for (let d = 0; d < vector.length; d++) {
    bits = d % 32 === 0 ? mixed(mixed(word + 1) + stream * 0x9e3779b9 + (d >>> 5)) : bits >>> 1;
    vector[d] = (vector[d] as number) + ((bits & 1) === 1 ? size : -size);
  }
}

/** A 32-bit hash in which every bit of the input moves every bit of the output (Wellons, "lowbias32"). */
function mixed(x: number): number {
  let bits = x | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
  return (bits ^ (bits >>> 16)) >>> 0;
}
