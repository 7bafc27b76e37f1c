import { Door } from '../door.js';
import { checkedSet, type Token, tokenKey } from '../hashing/minhash/tokens.js';

/**
 * The Jaccard similarity of two sets, |S∩T| / |S∪T|, exactly; 1 for two empty sets. Duplicates count once.
 *
 * @throws RangeError or TypeError for what is no set of tokens.
 */
export function jaccard(a: Iterable<Token>, b: Iterable<Token>): number {
  const door = new Door('jaccard');
  const keys = (tokens: Iterable<Token>) =>
    new Set(Array.from(checkedSet(tokens, door), (token) => tokenKey(token, door)));
  const [first, second] = [keys(a), keys(b)];
  const shared = Array.from(first).filter((key) => second.has(key)).length;
  return jaccardOfSizes(shared, first.size, second.size);
}

/** |S∩T| / |S∪T| from the sizes of the sets and of what they share. */
export function jaccardOfSizes(shared: number, a: number, b: number): number {
  const union = a + b - shared;
  return union === 0 ? 1 : shared / union;
}
