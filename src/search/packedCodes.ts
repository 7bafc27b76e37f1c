/** Bits that are 1 in an int32. */
export function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The Hamming distance of two codes of `words` words, from `start` and `otherStart` on. */
export function differingBits(
  codes: Int32Array,
  start: number,
  others: Int32Array,
  otherStart: number,
  words: number,
): number {
  let bits = 0;
  for (let i = 0; i < words; i++) {
    bits += countBits((codes[start + i] as number) ^ (others[otherStart + i] as number));
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
