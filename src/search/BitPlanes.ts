import { countBits } from './packedCodes.js';

/** Slots of a block: as many as a word has bits. */
export const BLOCK = 32;
/** The first counters, which are added to in registers: of 2, 4, 8, 16 and 32. That of 1 stays as it is. */
const IN_REGISTERS = 6;
/** Planes that are added at a time. */
const STEP = 8;

/**
 * Codes lying on their side: a plane is the same bit of 32 slots, in one word, so that 32 codes are compared with a query at
 * a time. As codes x and q differ in |x| + |q| − 2·|x∧q| bits, only the planes of the query's ones are read, and
 *
 *   sum = bits − |x| + 2·|x∧q| = bits + |q| − distance
 *
 * is counted by carry-save addition: counter p holds bit p of 32 sums, and 8 planes are added by seven full adders of five
 * operations each, what these carry by half adders (Warren, "Hacker's delight", section 5-1: Harley and Seal's method).
 */
export class BitPlanes {
  /** Bits of a code. */
  readonly bits: number;
  /** By level, bit p of the sums of the block that was added up last. */
  private readonly levels: Int32Array[] = [];
  /** Bits of a sum. */
  private readonly width: number;
  /** A block after another: planes, one of zeros, and the counters of bits − |x|. */
  private values = new Int32Array(0);
  private count = 0;
  private readonly pitch: number;

  /** For codes of `tables` words of `bitsOfTable` bits each. */
  constructor(
    private readonly tables: number,
    private readonly bitsOfTable: number,
  ) {
    this.bits = tables * bitsOfTable;
    this.width = Math.max(IN_REGISTERS, Math.floor(Math.log2(2 * this.bits)) + 1);
    this.pitch = this.bits + 1 + this.width;
  }

  get bytes(): number {
    return 4 * this.pitch * Math.ceil(this.count / BLOCK);
  }

  /** Takes the codes of slots that it does not have yet, of `count` codes in rows `pitch` words apart. */
  update(codes: Int32Array, pitch: number, count: number): void {
    const needed = Math.ceil(count / BLOCK) * this.pitch;
    if (this.values.length < needed) {
      const before = this.values;
      this.values = new Int32Array(Math.max(needed, 2 * before.length));
      this.values.set(before);
    }
    for (; this.count < count; this.count++) {
      this.place(this.count, codes.subarray(this.count * pitch, (this.count + 1) * pitch));
    }
  }

  /** The planes of a code's ones, filled up with the plane of zeros. */
  planesOf(code: Int32Array): Int32Array<ArrayBuffer> {
    const planes: number[] = [];
    for (let plane = 0; plane < this.bits; plane++) {
      if (((code[Math.floor(plane / this.bitsOfTable)] as number) >>> (plane % this.bitsOfTable)) & 1) {
        planes.push(plane);
      }
    }
    const filled = new Int32Array(Math.ceil(planes.length / STEP) * STEP).fill(this.bits);
    filled.set(planes);
    return filled;
  }

  /** Adds planes of a block to the sums of the level below, or on level 0 to bits − |x|, and keeps the sums of this one. */
  add(block: number, planes: Int32Array, level: number): void {
    const { levels, values } = this;
    const start = block * this.pitch;
    const below = level === 0 ? undefined : levels[level - 1];
    levels[level] ??= new Int32Array(this.width);
    addPlanes(values, start, planes, below ?? values, below ? 0 : start + this.bits + 1, levels[level]);
  }

  /** A word with a one for each slot whose sum on a level is at least `bound`. */
  sumsFrom(bound: number, level: number): number {
    const counters = this.levels[level] as Int32Array;
    let more = 0;
    let equal = -1;
    for (let p = counters.length - 1; p >= 0; p--) {
      const counter = counters[p] as number;
      if ((bound >>> p) & 1) {
        equal &= counter;
      } else {
        more |= equal & counter;
        equal &= ~counter;
      }
    }
    return more | equal;
  }

  /** The sum of a slot on a level. */
  sum(lane: number, level: number): number {
    const counters = this.levels[level] as Int32Array;
    let sum = 0;
    for (let p = 0; p < counters.length; p++) {
      sum |= (((counters[p] as number) >>> lane) & 1) << p;
    }
    return sum;
  }

  private place(slot: number, code: Int32Array): void {
    const start = Math.floor(slot / BLOCK) * this.pitch;
    const lane = slot % BLOCK;
    let zeros = this.bits;
    for (let table = 0; table < this.tables; table++) {
      const word = code[table] as number;
      zeros -= countBits(word);
      this.write(start + table * this.bitsOfTable, word, this.bitsOfTable, lane);
    }
    this.write(start + this.bits + 1, zeros, this.width, lane);
  }

  /** Writes each bit of a word to a lane of a plane of its own. */
  private write(first: number, word: number, count: number, lane: number): void {
    const { values } = this;
    for (let bit = 0; bit < count; bit++) {
      values[first + bit] = (values[first + bit] as number) | (((word >>> bit) & 1) << lane);
    }
  }
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
