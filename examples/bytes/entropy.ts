/** What simpler models than a Reformer make of a text. */
import { gzipSync } from 'node:zlib';

/** Bits per byte, of bytes after the first of each piece. */
export interface Baselines {
  /** Given so many preceding bytes, from 0 up: counted in the training text, and in the pieces themselves. */
  readonly orders: readonly { readonly learned: number; readonly own: number }[];
  /** All pieces as one file, at gzip's best. */
  readonly gzip: number;
}

/** How many bytes a model looks back. */
const ORDERS = [0, 1, 2];
/** What is added to each count, so that nothing is impossible. */
const PSEUDOCOUNT = 0.01;
const BYTES = 256;

export function baselines(training: Uint8Array, pieces: readonly Uint8Array[]): Baselines {
  return {
    orders: ORDERS.map((order) => ({
      learned: bitsPerByte(countBytes([training], order), pieces, order, PSEUDOCOUNT),
      own: bitsPerByte(countBytes(pieces, order, 1), pieces, order, 0),
    })),
    gzip: (8 * gzipSync(Buffer.concat(pieces), { level: 9 }).length) / Buffer.concat(pieces).length,
  };
}

/** How often each byte comes after each context of `order` bytes, at index context·256 + byte. */
function countBytes(texts: readonly Uint8Array[], order: number, first = order): Uint32Array {
  const counts = new Uint32Array(BYTES ** (order + 1));
  for (const text of texts) {
    for (let i = Math.max(first, order); i < text.length; i++) {
      const place = indexAt(text, i, order);
      counts[place] = (counts[place] as number) + 1;
    }
  }
  return counts;
}

function bitsPerByte(
  counts: Uint32Array,
  pieces: readonly Uint8Array[],
  order: number,
  pseudocount: number,
): number {
  const totals = new Float64Array(BYTES ** order);
  for (const [place, count] of counts.entries()) {
    const context = Math.floor(place / BYTES);
    totals[context] = (totals[context] as number) + count;
  }
  let bits = 0;
  let bytes = 0;
  for (const piece of pieces) {
    for (let i = Math.max(1, order); i < piece.length; i++) {
      const place = indexAt(piece, i, order);
      const total = (totals[Math.floor(place / BYTES)] as number) + BYTES * pseudocount;
      bits -= Math.log2(((counts[place] as number) + pseudocount) / total);
      bytes++;
    }
  }
  return bits / bytes;
}

function indexAt(text: Uint8Array, i: number, order: number): number {
  let index = 0;
  for (let j = i - order; j <= i; j++) {
    index = index * BYTES + (text[j] as number);
  }
  return index;
}
