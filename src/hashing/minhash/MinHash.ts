import { Door } from '../../door.js';
import { checkedFunctions, type MinHashOptions } from './options.js';
import { drawFunctions, type HashFunctions, lowerMinima, type MinHashScheme } from './schemes.js';
import { checkedSet, type Token, tokenWord } from './tokens.js';

/** Words that are hashed together. */
const BLOCK = 1024;
/** The minimum over nothing. */
const NOTHING = 0xffffffff;

/**
 * A short signature of a set, however large: the least hash of its tokens under each of k hash functions. Two
 * signatures agree in a position with probability J, the Jaccard similarity of their sets (Broder 1997).
 * Duplicates and order do not matter, and tokens may come one by one.
 *
 * @example
 * const a = new MinHash().addAll(['the', 'quick', 'fox']);
 * const b = new MinHash().addAll(['the', 'slow', 'fox']);
 * a.jaccard(b); // about 0.5
 */
export class MinHash {
  private readonly door = new Door('MinHash');
  private readonly functions: HashFunctions;
  /** Of the hash functions. */
  readonly seed: number;
  private readonly minima: Uint32Array;
  private readonly pending = new Uint32Array(BLOCK);
  private pendingCount = 0;

  /** @throws RangeError or TypeError for an option that is not allowed, naming it. */
  constructor(options: MinHashOptions = {}) {
    const { scheme, k, seed } = checkedFunctions(options, this.door);
    this.functions = drawFunctions(scheme, k, seed);
    this.seed = seed;
    this.minima = new Uint32Array(k).fill(NOTHING);
  }

  /** k. */
  get numHashes(): number {
    return this.functions.k;
  }

  /** How tokens are hashed. */
  get scheme(): MinHashScheme {
    return this.functions.scheme;
  }

  /** Adds one token. */
  add(token: Token): this {
    const word = tokenWord(token, this.functions.wordOfBytes, this.door);
    if (this.pendingCount === BLOCK) {
      this.flush();
    }
    this.pending[this.pendingCount++] = word;
    return this;
  }

  /** Adds all tokens of an iterable. */
  addAll(tokens: Iterable<Token>): this {
    for (const token of checkedSet(tokens, this.door)) {
      this.add(token);
    }
    return this;
  }

  /** Adds the tokens of a stream as they come. */
  async addStream(tokens: AsyncIterable<Token>): Promise<this> {
    if (typeof tokens !== 'object' || tokens === null || !(Symbol.asyncIterator in tokens)) {
      throw this.door.kind('`tokens` must be an async iterable of tokens. For others there is addAll().');
    }
    for await (const token of tokens) {
      this.add(token);
    }
    return this;
  }

  /** Makes this the signature of the union with another's set: the element-wise minimum. */
  merge(other: MinHash): this {
    const theirs = this.comparable(other).signature();
    for (const [i, value] of this.current().entries()) {
      this.minima[i] = Math.min(value, theirs[i] as number);
    }
    return this;
  }

  /** The k minima, unsigned; a copy. All are 2^32 − 1 while there is no token. */
  signature(): Uint32Array {
    return this.current().slice();
  }

  /** The share of positions in which two signatures agree: an estimate of J with standard error sqrt(J(1−J)/k). */
  jaccard(other: MinHash): number {
    return agreement(this.current(), this.comparable(other).current());
  }

  /** An estimate of how many different tokens there are, with a relative standard error of 1/sqrt(k). */
  count(): number {
    const sum = this.current().reduce((total, value) => total + value / NOTHING, 0);
    return this.numHashes / sum - 1;
  }

  private comparable(other: MinHash): MinHash {
    const of = ({ scheme, numHashes, seed }: MinHash) => `${scheme}, ${numHashes} hashes, seed ${seed}`;
    if (!(other instanceof MinHash)) {
      throw this.door.kind('the other must be a MinHash too.');
    }
    if (of(this) !== of(other)) {
      throw this.door.range(
        `only signatures of the same functions can be compared, got ${of(this)} beside ${of(other)}. Make both with the same options.`,
      );
    }
    return other;
  }

  private current(): Uint32Array {
    this.flush();
    return this.minima;
  }

  private flush(): void {
    lowerMinima(this.minima, this.pending, this.pendingCount, this.functions);
    this.pendingCount = 0;
  }
}

/** The share of positions in which two signatures agree. */
export function agreement(a: Uint32Array, b: Uint32Array): number {
  return a.reduce((equal, value, i) => equal + Number(value === b[i]), 0) / a.length;
}
