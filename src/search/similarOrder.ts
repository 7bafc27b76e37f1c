import { countBits } from './packedCodes.js';

/** An order of codes in which neighbours are alike: halves are parted by which of two distant codes is nearer. */
export function similarOrder(codes: readonly Int32Array[]): Int32Array {
  const order = Int32Array.from(codes.keys());
  part(codes, order, new Int32Array(order.length));
  return order;
}

/** The first half of so many: the largest power of two, so that whole groups of one stay together. */
export function halfOf(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}

function part(codes: readonly Int32Array[], order: Int32Array, keys: Int32Array): void {
  if (order.length <= 2) {
    return;
  }
  const distance = (i: number, j: number) => differingBits(codes[i] as Int32Array, codes[j] as Int32Array);
  const one = order[0] as number;
  let other = one;
  for (const i of order) {
    keys[i] = distance(one, i);
    if (keys[i] > (keys[other] as number)) {
      other = i;
    }
  }
  for (const i of order) {
    keys[i] = (keys[i] as number) - distance(other, i);
  }
  order.sort((a, b) => (keys[a] as number) - (keys[b] as number));
  const half = halfOf(order.length);
  part(codes, order.subarray(0, half), keys);
  part(codes, order.subarray(half), keys);
}

function differingBits(a: Int32Array, b: Int32Array): number {
  return a.reduce((bits, word, i) => bits + countBits(word ^ (b[i] as number)), 0);
}
