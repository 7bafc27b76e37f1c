/** All similar pairs exactly: what an index of signatures is measured by. */
import { jaccard } from 'tfjs-lsh-attention/search';

/**
 * The pairs of sets with a Jaccard similarity of at least `threshold`, as `first,second`. With tokens in order of rarity, two
 * such sets share one among their first |S| − ⌈threshold·|S|⌉ + 1 (Chaudhuri, Ganti and Kaushik 2006, prefix filter).
 */
export function exactPairs(sets: readonly (readonly string[])[], threshold: number): Set<string> {
  const counts = new Map<string, number>();
  for (const token of sets.flat()) {
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  const rarity = (token: string) => counts.get(token) as number;
  const withToken = new Map<string, number[]>();
  const pairs = new Set<string>();
  for (const [second, set] of sets.entries()) {
    const ordered = [...set].sort((a, b) => rarity(a) - rarity(b) || (a < b ? -1 : 1));
    const prefix = ordered.slice(0, set.length - Math.ceil(threshold * set.length) + 1);
    const candidates = new Set<number>();
    for (const token of prefix) {
      const sharing = withToken.get(token) ?? [];
      for (const first of sharing) {
        candidates.add(first);
      }
      sharing.push(second);
      withToken.set(token, sharing);
    }
    for (const first of candidates) {
      if (jaccard(sets[first] as readonly string[], set) >= threshold) {
        pairs.add(`${first},${second}`);
      }
    }
  }
  return pairs;
}
