import { hammingDistance } from './packedCodes.js';

/**
 * Orders the indices of codes, rows of `words` words, so that neighbours are alike, down to groups of `least`: halves are
 * parted by which of two distant codes is nearer.
 */
export function orderBySimilarity(codes: Int32Array, words: number, order: Int32Array, least: number): void {
  if (order.length <= least) {
    return;
  }
  const distanceTo = (other: number) => {
    const code = codes.subarray(other * words, (other + 1) * words);
    return (i: number) => hammingDistance(code, codes, i * words);
  };
  const toOne = distanceTo(order[0] as number);
  const toOther = distanceTo(order.reduce((far, i) => (toOne(i) > toOne(far) ? i : far)));
  order.set(sortedBy(order, (i) => 32 * words + toOne(i) - toOther(i)));
  // The largest power of two, so that whole groups of one stay together.
  const half = 2 ** Math.floor(Math.log2(order.length - 1));
  orderBySimilarity(codes, words, order.subarray(0, half), least);
  orderBySimilarity(codes, words, order.subarray(half), least);
}

/** Numbers in order of small ranks, integers from 0 on; equals as they came. */
export function sortedBy(numbers: Iterable<number>, rankOf: (i: number) => number): number[] {
  const byRank: number[][] = [];
  for (const i of numbers) {
    const rank = rankOf(i);
    byRank[rank] ??= [];
    byRank[rank].push(i);
  }
  return joined(byRank);
}

/** Lists one after another, some of which may be missing: flat(), which takes ten times as long. */
export function joined(lists: Iterable<readonly number[] | undefined>): number[] {
  const all: number[] = [];
  for (const list of lists) {
    for (const i of list ?? []) {
      all.push(i);
    }
  }
  return all;
}
