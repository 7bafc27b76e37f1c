/** Bits that are 1 in an int32. */
export function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Which bits are 1 in an int32. */
export function onesIn(word: number): number[] {
  const ones: number[] = [];
  for (let rest = word; rest !== 0; rest &= rest - 1) {
    ones.push(31 - Math.clz32(rest & -rest));
  }
  return ones;
}

/** The Hamming distance of a code from that of `codes` which begins at `start`. */
export function hammingDistance(code: Int32Array, codes: Int32Array, start = 0): number {
  let bits = 0;
  for (let i = 0; i < code.length; i++) {
    bits += countBits((code[i] as number) ^ (codes[start + i] as number));
  }
  return bits;
}

/** Words of a packed code: whole fours, which a GPU loads at once. */
export function packedWords(tables: number): number {
  return Math.ceil(tables / 4) * 4;
}

/** Codes `[tables, n]` as rows `[n, words]`, the words beyond the tables 0. */
export function packCodes(codes: Int32Array, tables: number): Int32Array {
  const n = codes.length / tables;
  const words = packedWords(tables);
  const packed = new Int32Array(n * words);
  for (let table = 0; table < tables; table++) {
    for (let i = 0; i < n; i++) {
      packed[i * words + table] = codes[table * n + i] as number;
    }
  }
  return packed;
}
