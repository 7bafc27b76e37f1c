import { grown } from './grown.js';
import { countBits, onesIn } from './packedCodes.js';

/** Codes of a block: as many as a word has bits. */
export const BLOCK = 32;
/** The first counters, which are added to in registers: of 2, 4, 8, 16 and 32. That of 1 stays as it is. */
const IN_REGISTERS = 6;
/** Planes that are added at a time. */
const STEP = 8;

/**
 * Codes lying on their side: a plane is the same bit of 32 codes, in one word, so that 32 codes are compared with a query at
 * a time. As codes x and q differ in |x| + |q| − 2·|x∧q| bits, only the planes of the query's ones are read, and
 *
 *   sum = bits − |x| + slack + 2·|x∧q| = bits + |q| − (distance − slack)
 *
 * is counted by carry-save addition: counter p holds bit p of 32 sums, and 8 planes are added by seven full adders of five
 * operations each, what these carry by half adders (Warren, "Hacker's delight", section 5-1: Harley and Seal's method).
 */
export class BitPlanes {
  /** Bits of a code. */
  readonly bits: number;
  /** Bits of a sum. */
  private readonly width: number;
  /** A block after another: planes, one of zeros, and the counters of bits − |x| + slack. */
  private values = new Int32Array(0);
  private readonly pitch: number;

  /** For codes of `tables` words of `bitsOfTable` bits each. */
  constructor(
    private readonly tables: number,
    private readonly bitsOfTable: number,
  ) {
    this.bits = tables * bitsOfTable;
    this.width = Math.max(IN_REGISTERS, Math.floor(Math.log2(3 * this.bits)) + 1);
    this.pitch = this.bits + 1 + this.width;
  }

  get bytes(): number {
    return this.values.byteLength;
  }

  /** Makes room for so many codes. */
  reserve(count: number): void {
    this.values = grown(this.values, Math.ceil(count / BLOCK) * this.pitch);
  }

  /** Puts a code in a place, as if it were nearer to all others by `slack`. */
  place(place: number, code: Int32Array, slack = 0): void {
    const start = Math.floor(place / BLOCK) * this.pitch;
    const lane = place % BLOCK;
    let sum = this.bits + slack;
    for (let table = 0; table < this.tables; table++) {
      const word = code[table] as number;
      sum -= countBits(word);
      this.write(start + table * this.bitsOfTable, word, this.bitsOfTable, lane);
    }
    this.write(start + this.bits + 1, sum, this.width, lane);
  }

  /** The code of the bits that most codes of a block have. */
  majority(block: number): Int32Array {
    const { bitsOfTable, pitch, tables, values } = this;
    return Int32Array.from({ length: tables }, (_, table) => {
      const first = block * pitch + table * bitsOfTable;
      let word = 0;
      for (let bit = 0; bit < bitsOfTable; bit++) {
        word |= Number(countBits(values[first + bit] as number) > BLOCK / 2) << bit;
      }
      return word;
    });
  }

  /** The planes of a code's ones, filled up with the plane of zeros. */
  planesOf(code: Int32Array): Int32Array<ArrayBuffer> {
    const planes = Array.from(code).flatMap((word, table) =>
      onesIn(word).map((bit) => table * this.bitsOfTable + bit),
    );
    while (planes.length % STEP !== 0) {
      planes.push(this.bits);
    }
    return Int32Array.from(planes);
  }

  /** Room for the sums of a block. */
  newSums(): Int32Array {
    return new Int32Array(this.width);
  }

  /** Writes sums of a block: those that are known, at first bits − |x| + slack, and twice the bits of planes. */
  add(block: number, planes: Int32Array, known: Int32Array | undefined, sums: Int32Array): void {
    const { values } = this;
    const start = block * this.pitch;
    addPlanes(values, start, planes, known ?? values, known ? 0 : start + this.bits + 1, sums);
  }

  /** Writes each bit of a word to a lane of a plane of its own. */
  private write(first: number, word: number, count: number, lane: number): void {
    const { values } = this;
    for (let bit = 0; bit < count; bit++) {
      values[first + bit] = ((values[first + bit] as number) & ~(1 << lane)) | (((word >>> bit) & 1) << lane);
    }
  }
}

/** A word with a one for each code whose sum is at least `bound`. */
export function sumsFrom(bound: number, sums: Int32Array): number {
  let from = -1;
  for (let p = 0; p < sums.length; p++) {
    const counter = sums[p] as number;
    from = (bound >>> p) & 1 ? counter & from : counter | from;
  }
  return from;
}

/** The sum of one of the codes. */
export function sumOf(lane: number, sums: Int32Array): number {
  let sum = 0;
  for (let p = 0; p < sums.length; p++) {
    sum |= (((sums[p] as number) >>> lane) & 1) << p;
  }
  return sum;
}

/** Writes to `counters` those from `from[first]` on and twice the bits of planes, whole steps of them. */
function addPlanes(
  values: Int32Array,
  start: number,
  planes: Int32Array,
  from: Int32Array,
  first: number,
  counters: Int32Array,
): void {
  // One by one: destructuring, and its like below, would iterate.
  let twos = from[first + 1] as number;
  let fours = from[first + 2] as number;
  let eights = from[first + 3] as number;
  let sixteens = from[first + 4] as number;
  let thirtyTwos = from[first + 5] as number;
  counters[0] = from[first] as number;
  for (let p = IN_REGISTERS; p < counters.length; p++) {
    counters[p] = from[first + p] as number;
  }
  for (let i = 0; i < planes.length; i += STEP) {
    // `| 0`: without a check for overflow, which the sum of two indices in range does not need.
    let a = values[(start + (planes[i] as number)) | 0] as number;
    let b = values[(start + (planes[i | 1] as number)) | 0] as number;
    let odd = twos ^ a;
    const fourA = (twos & a) | (odd & b);
    twos = odd ^ b;
    a = values[(start + (planes[i | 2] as number)) | 0] as number;
    b = values[(start + (planes[i | 3] as number)) | 0] as number;
    odd = twos ^ a;
    const fourB = (twos & a) | (odd & b);
    twos = odd ^ b;
    odd = fours ^ fourA;
    const eightA = (fours & fourA) | (odd & fourB);
    fours = odd ^ fourB;
    a = values[(start + (planes[i | 4] as number)) | 0] as number;
    b = values[(start + (planes[i | 5] as number)) | 0] as number;
    odd = twos ^ a;
    const fourC = (twos & a) | (odd & b);
    twos = odd ^ b;
    a = values[(start + (planes[i | 6] as number)) | 0] as number;
    b = values[(start + (planes[i | 7] as number)) | 0] as number;
    odd = twos ^ a;
    const fourD = (twos & a) | (odd & b);
    twos = odd ^ b;
    odd = fours ^ fourC;
    const eightB = (fours & fourC) | (odd & fourD);
    fours = odd ^ fourD;
    odd = eights ^ eightA;
    const sixteen = (eights & eightA) | (odd & eightB);
    eights = odd ^ eightB;
    const thirtyTwo = sixteens & sixteen;
    sixteens ^= sixteen;
    let rest = thirtyTwos & thirtyTwo;
    thirtyTwos ^= thirtyTwo;
    for (let p = IN_REGISTERS; rest !== 0; p++) {
      const counter = counters[p] as number;
      counters[p] = counter ^ rest;
      rest &= counter;
    }
  }
  counters[1] = twos;
  counters[2] = fours;
  counters[3] = eights;
  counters[4] = sixteens;
  counters[5] = thirtyTwos;
}
