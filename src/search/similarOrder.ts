import { differingBits } from './packedCodes.js';
import { sortedBy } from './sortKeys.js';

/**
 * Orders the indices of codes, rows of `words` words, so that neighbours are alike, down to groups of `least`: halves are
 * parted by which of two distant codes is nearer.
 */
export function orderBySimilarity(codes: Int32Array, words: number, order: Int32Array, least: number): void {
  if (order.length <= least) {
    return;
  }
  const distanceTo = (other: number) => (i: number) =>
    differingBits(codes, i * words, codes, other * words, words);
  const toOne = distanceTo(order[0] as number);
  const toOther = distanceTo(order.reduce((far, i) => (toOne(i) > toOne(far) ? i : far)));
  const bits = 32 * words;
  order.set(sortedBy(order, 2 * bits, (i) => bits + toOne(i) - toOther(i)));
  const half = halfOf(order.length);
  orderBySimilarity(codes, words, order.subarray(0, half), least);
  orderBySimilarity(codes, words, order.subarray(half), least);
}

/** The first half of so many: the largest power of two, so that whole groups of one stay together. */
export function halfOf(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}
