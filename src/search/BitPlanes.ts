import { countBits, differingBits } from './packedCodes.js';
import { orderBySimilarity } from './similarOrder.js';
import { sortedBy } from './sortKeys.js';

/** Codes of a block: as many as a word has bits. */
const BLOCK = 32;
/** The first counters, which are added to in registers: of 2, 4, 8, 16 and 32. That of 1 stays as it is. */
const IN_REGISTERS = 6;
/** Planes that are added at a time. */
const STEP = 4;

/**
 * Codes lying on their side: a plane is the same bit of 32 codes, in one word, so that 32 alike ones are compared with a
 * query at a time. As codes x and q differ in |x| + |q| − 2·|x∧q| bits, only the planes of the query's ones are read, and
 *
 *   sum = bits − |x| + 2·|x∧q| = bits + |q| − distance
 *
 * is counted by carry-save addition: counter p holds bit p of 32 sums, and 4 planes are added by three full adders of five
 * operations each, what these carry by half adders (Warren, "Hacker's delight", section 5-1: Harley and Seal's method).
 */
export class BitPlanes {
  /** Bits of a code. */
  readonly bits: number;
  /** Bits of a sum. */
  private readonly width: number;
  /** A block after another: planes, one of zeros, the counters of bits − |x|, and the first code as it came. */
  private values = new Int32Array(0);
  /** The slots of the codes, in which a block's are alike. */
  private readonly slots: number[] = [];
  private readonly firstCode: number;
  private readonly pitch: number;

  /** For codes of `tables` words of `bitsOfTable` bits each. */
  constructor(
    private readonly tables: number,
    private readonly bitsOfTable: number,
  ) {
    this.bits = tables * bitsOfTable;
    this.width = Math.max(IN_REGISTERS, Math.floor(Math.log2(2 * this.bits)) + 1);
    this.firstCode = this.bits + 1 + this.width;
    this.pitch = this.firstCode + tables;
  }

  get bytes(): number {
    return 4 * (this.pitch * this.blocks + this.slots.length);
  }

  private get blocks(): number {
    return Math.ceil(this.slots.length / BLOCK);
  }

  /** Takes the codes of slots that it does not have yet, of `count` codes in rows `pitch` words apart. */
  update(codes: Int32Array, pitch: number, count: number): void {
    const needed = Math.ceil(count / BLOCK) * this.pitch;
    if (this.values.length < needed) {
      const before = this.values;
      this.values = new Int32Array(Math.max(needed, 2 * before.length));
      this.values.set(before);
    }
    const known = this.slots.length;
    const added = Int32Array.from({ length: count - known }, (_, i) => known + i);
    orderBySimilarity(codes, pitch, added, BLOCK);
    for (const slot of added) {
      this.place(slot, codes.subarray(slot * pitch, (slot + 1) * pitch));
    }
  }

  /** The slot of a block's code; none where the last block has no code yet. */
  slot(block: number, lane: number): number | undefined {
    return this.slots[block * BLOCK + lane];
  }

  /** All blocks, in order of their first codes' distances from a code. */
  blocksFrom(code: Int32Array): Int32Array {
    const { firstCode, pitch, tables, values } = this;
    return sortedBy(Int32Array.from(Array(this.blocks).keys()), this.bits, (block) =>
      differingBits(values, block * pitch + firstCode, code, 0, tables),
    );
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

  /** Room for the sums of a block. */
  newSums(): Int32Array {
    return new Int32Array(this.width);
  }

  /** Writes sums of a block: those that are known, at first bits − |x|, and twice the bits of planes. */
  add(block: number, planes: Int32Array, known: Int32Array | undefined, sums: Int32Array): void {
    const { values } = this;
    const start = block * this.pitch;
    addPlanes(values, start, planes, known ?? values, known ? 0 : start + this.bits + 1, sums);
  }

  private place(slot: number, code: Int32Array): void {
    const lane = this.slots.length % BLOCK;
    const start = Math.floor(this.slots.length / BLOCK) * this.pitch;
    this.slots.push(slot);
    let zeros = this.bits;
    for (let table = 0; table < this.tables; table++) {
      const word = code[table] as number;
      zeros -= countBits(word);
      if (lane === 0) {
        this.values[start + this.firstCode + table] = word;
      }
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
    const eight = (fours & fourA) | (odd & fourB);
    fours = odd ^ fourB;
    const sixteen = eights & eight;
    eights ^= eight;
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
