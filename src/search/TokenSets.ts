import type { Door } from '../door.js';
import { type Token, tokenKey } from '../hashing/minhash/tokens.js';
import { jaccardOfSizes } from './jaccard.js';

/** A token as it is kept: equal for equal tokens alone. */
export type Key = number | string;

/** Sets by slot, each as the ascending numbers that its tokens have in one dictionary. */
export class TokenSets {
  private readonly numbers = new Map<Key, number>();
  private readonly sets: Int32Array[] = [];
  private held = 0;

  /** The distinct tokens of a set. */
  static keys(tokens: Iterable<Token>, door: Door): Set<Key> {
    const keys = new Set<Key>();
    for (const token of tokens) {
      keys.add(tokenKey(token, door));
    }
    return keys;
  }

  /** Keeps a set in the next slot. */
  append(keys: Iterable<Key>): void {
    const members = Int32Array.from(keys, (key) => {
      const known = this.numbers.get(key) ?? this.numbers.size;
      this.numbers.set(key, known);
      return known;
    }).sort();
    this.sets.push(members);
    this.held += members.length;
  }

  /** The exact similarity of a set to the one in a slot. */
  similarity(keys: ReadonlySet<Key>, slot: number): number {
    const known = Int32Array.from(
      Array.from(keys, (key) => this.numbers.get(key) ?? -1).filter((number) => number >= 0),
    ).sort();
    const own = this.members(slot);
    return jaccardOfSizes(shared(known, own), keys.size, own.length);
  }

  /** The exact similarity of the sets in two slots. */
  similarityOf(a: number, b: number): number {
    const [first, second] = [this.members(a), this.members(b)];
    return jaccardOfSizes(shared(first, second), first.length, second.length);
  }

  /** The tokens of the sets in some slots. */
  keysOf(slots: readonly number[]): Set<Key>[] {
    const keys = Array.from(this.numbers.keys());
    return slots.map((slot) => new Set(Array.from(this.members(slot), (number) => keys[number] as Key)));
  }

  /** Bytes of the sets; those of the tokens themselves are the engine's. */
  get bytes(): number {
    return 4 * this.held;
  }

  private members(slot: number): Int32Array {
    return this.sets[slot] as Int32Array;
  }
}

/** How many numbers two ascending lists share. */
function shared(a: Int32Array, b: Int32Array): number {
  let [i, j, count] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const difference = (a[i] as number) - (b[j] as number);
    count += Number(difference === 0);
    i += Number(difference <= 0);
    j += Number(difference >= 0);
  }
  return count;
}
