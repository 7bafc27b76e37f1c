import { BitPlanes, BLOCK } from './BitPlanes.js';
import { hammingDistance } from './packedCodes.js';
import { orderBySimilarity } from './similarOrder.js';

/** Codes that are put in order together: more would be more alike in their blocks by little, and take longer each. */
const TOGETHER = 2 ** 16;

/** Codes in blocks of alike ones, and the blocks' centers, to see what need not be compared. */
export class CodeBlocks {
  readonly codes: BitPlanes;
  /** As much nearer as the block's farthest code may be: what is far from one is far from all of its block. */
  readonly centers: BitPlanes;
  /** Where the blocks of centers lie. */
  readonly groups: Int32Array[] = [];
  /** By place, the slots of the codes. */
  private readonly slots: number[] = [];

  /** For codes of `tables` words of `bitsOfTable` bits each. */
  constructor(tables: number, bitsOfTable: number) {
    this.codes = new BitPlanes(tables, bitsOfTable);
    this.centers = new BitPlanes(tables, bitsOfTable);
  }

  get bytes(): number {
    return this.codes.bytes + this.centers.bytes + 4 * this.slots.length;
  }

  /** The slot of a block's code; none where the last block has no code yet. */
  slot(block: number, lane: number): number | undefined {
    return this.slots[block * BLOCK + lane];
  }

  /** Takes the codes of slots that it does not have yet, of `count` codes in rows of `words` words. */
  update(codes: Int32Array, words: number, count: number): void {
    const { slots, centers } = this;
    const known = slots.length;
    const added = Int32Array.from({ length: count - known }, (_, i) => known + i);
    for (let i = 0; i < added.length; i += TOGETHER) {
      orderBySimilarity(codes, words, added.subarray(i, i + TOGETHER), BLOCK);
    }
    this.codes.reserve(count);
    for (const slot of added) {
      this.codes.place(slots.push(slot) - 1, codes.subarray(slot * words, (slot + 1) * words));
    }
    const blocks = Math.ceil(count / BLOCK);
    centers.reserve(blocks);
    for (let block = Math.floor(known / BLOCK); block < blocks; block++) {
      const center = this.codes.majority(block);
      const distances = slots
        .slice(block * BLOCK, (block + 1) * BLOCK)
        .map((slot) => hammingDistance(center, codes, slot * words));
      centers.place(block, center, Math.max(...distances));
      const group = Math.floor(block / BLOCK);
      this.groups[group] = centers.majority(group);
    }
  }
}
