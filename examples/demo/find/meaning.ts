/**
 * Vectors for sentences by what words they share, and what words those words go with: latent semantic analysis, which is
 * the largest singular vectors of the sentences' weighted word counts (Deerwester et al. 1990). The vectors are found by
 * subspace iteration (Halko, Martinsson and Tropp 2011).
 */

import { spellingOf, WORD } from '../../speeches/words.js';
import { randomNumbers } from '../../training/random.js';

/** D, the numbers of a sentence's vector. */
export const D = 64;

/** The singular vectors below the largest few hardly move after as many. */
const ITERATIONS = 4;
/** Words of fewer sentences connect nothing. */
const LEAST_SENTENCES = 2;

/** The weights of a sentence's words. */
type Weights = ReadonlyMap<number, number>;

export class Meaning {
  private readonly wordOf = new Map<string, number>();
  /** Of each word: the rarer, the more it says. Squared, since “we must” would outweigh all that follows it. */
  private readonly rarity: number[] = [];
  /** `[words, D]`, orthonormal columns. */
  private readonly basis: Float64Array;
  /** `[sentences, D]`, of unit length. */
  readonly vectors: Float32Array;

  constructor(sentences: readonly string[]) {
    const counts = new Map<string, number>();
    for (const word of sentences.flatMap((sentence) => [...new Set(wordsOf(sentence))])) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    for (const [word, count] of counts) {
      if (count >= LEAST_SENTENCES) {
        this.wordOf.set(word, this.rarity.length);
        this.rarity.push(Math.log(sentences.length / count) ** 2);
      }
    }
    const rows = sentences.map((sentence) => this.weightsOf(sentence));
    this.basis = largestDirections(rows, this.rarity.length);
    this.vectors = new Float32Array(rows.length * D);
    rows.forEach((row, i) => {
      this.vectors.set(this.projected(row), i * D);
    });
  }

  /** The vector of a sentence; of zeros where it has no word that the others have. */
  vectorOf(sentence: string): Float32Array {
    return this.projected(this.weightsOf(sentence));
  }

  private weightsOf(sentence: string): Weights {
    const weights = new Map<number, number>();
    for (const word of wordsOf(sentence)) {
      const number = this.wordOf.get(word);
      if (number !== undefined) {
        weights.set(number, this.rarity[number] as number);
      }
    }
    return weights;
  }

  private projected(weights: Weights): Float32Array {
    const vector = product(weights, this.basis);
    const length = Math.hypot(...vector) || 1;
    return Float32Array.from(vector, (value) => value / length);
  }
}

function wordsOf(sentence: string): string[] {
  return (sentence.match(WORD) ?? []).map(spellingOf);
}

/** The D directions `[words, D]` in which the rows are longest, by repeated multiplication with AᵀA. */
function largestDirections(rows: readonly Weights[], words: number): Float64Array {
  const random = randomNumbers(1, 0);
  let directions = Float64Array.from({ length: words * D }, () => random() - 0.5);
  orthonormalise(directions, words);
  for (let i = 0; i < ITERATIONS; i++) {
    const next = new Float64Array(words * D);
    for (const row of rows) {
      const along = product(row, directions);
      for (const [word, weight] of row) {
        for (let d = 0; d < D; d++) {
          next[word * D + d] = (next[word * D + d] as number) + weight * (along[d] as number);
        }
      }
    }
    orthonormalise(next, words);
    directions = next;
  }
  return directions;
}

/** A sparse row times `[words, D]`. */
function product(row: Weights, matrix: Float64Array): Float64Array {
  const sums = new Float64Array(D);
  for (const [word, weight] of row) {
    for (let d = 0; d < D; d++) {
      sums[d] = (sums[d] as number) + weight * (matrix[word * D + d] as number);
    }
  }
  return sums;
}

/** Gram and Schmidt's way, column after column. */
function orthonormalise(matrix: Float64Array, rows: number): void {
  const at = (row: number, column: number) => matrix[row * D + column] as number;
  for (let column = 0; column < D; column++) {
    for (let other = 0; other < column; other++) {
      let dot = 0;
      for (let row = 0; row < rows; row++) {
        dot += at(row, column) * at(row, other);
      }
      for (let row = 0; row < rows; row++) {
        matrix[row * D + column] = at(row, column) - dot * at(row, other);
      }
    }
    let square = 0;
    for (let row = 0; row < rows; row++) {
      square += at(row, column) ** 2;
    }
    const length = Math.sqrt(square) || 1;
    for (let row = 0; row < rows; row++) {
      matrix[row * D + column] = at(row, column) / length;
    }
  }
}
