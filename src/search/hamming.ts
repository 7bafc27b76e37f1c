import { type BitPlanes, sumOf, sumsFrom } from './BitPlanes.js';
import type { Finder } from './candidates.js';
import { countBits } from './packedCodes.js';
import { halfOf, orderBySimilarity } from './similarOrder.js';

/** Queries that go through the codes together, alike ones: what they have in common is added up once, as in a tree. */
const TOGETHER = 8;

/** What may be found. */
interface Limits {
  /** By slot: 1 where it may be found. */
  readonly allowed: Uint8Array;
  readonly most: number;
  readonly radius: number;
}

/**
 * Finds, for each query's code, a row of `words` words, the slots whose codes differ from it in the fewest bits: `most` of
 * them, of equals the first, or those within a radius. They come in order of distance.
 */
export function hammingFinder(planes: BitPlanes, queries: Int32Array, words: number, limits: Limits): Finder {
  const slots = new Int32Array(Math.max(1, Math.min(limits.most, limits.allowed.length)));
  const order = Int32Array.from({ length: queries.length / words }, (_, i) => i);
  orderBySimilarity(queries, words, order, 1);
  let scans: HammingScan[] = [];
  let asked = 0;
  const find = () => {
    if (asked % TOGETHER === 0) {
      scans = Array.from(
        order.subarray(asked, asked + TOGETHER),
        (i) => new HammingScan(planes, queries.subarray(i * words, (i + 1) * words), limits, slots),
      );
      const root = nodeOf(planes, scans);
      for (const block of planes.blocksFrom((scans[0] as HammingScan).query)) {
        visit(planes, root, block);
      }
    }
    return (scans[asked++ % TOGETHER] as HammingScan).end();
  };
  return { slots, order, find };
}

/** Queries, and what is added up for all of them: the ones that they have in common, less those of the node above. */
interface Node {
  readonly planes: Int32Array;
  /** The sums of the block that was added up last. */
  readonly sums: Int32Array;
  /** Ones that all queries have. */
  readonly ones: number;
  /** The farthest of their reaches. */
  reach: number;
  readonly scan: HammingScan;
  readonly halves: readonly Node[];
}

function nodeOf(planes: BitPlanes, scans: readonly HammingScan[], known?: Int32Array): Node {
  const common = scans
    .map(({ query }) => query)
    .reduce((a, b) => a.map((word, i) => word & (b[i] as number)));
  const half = halfOf(scans.length);
  const halves = scans.length === 1 ? [] : [scans.slice(0, half), scans.slice(half)];
  return {
    planes: planes.planesOf(common.map((word, i) => word & ~(known?.[i] ?? 0))),
    sums: planes.newSums(),
    ones: onesOf(common),
    reach: Math.max(...scans.map(({ reach }) => reach)),
    scan: scans[0] as HammingScan,
    halves: halves.map((some) => nodeOf(planes, some, common)),
  };
}

function onesOf(code: Int32Array): number {
  return code.reduce((ones, word) => ones + countBits(word), 0);
}

/** Compares a block with queries, as long as a code of it may be near enough to one of them. */
function visit(planes: BitPlanes, node: Node, block: number, known?: Int32Array): void {
  const { sums, scan, halves } = node;
  planes.add(block, node.planes, known, sums);
  const near = sumsFrom(Math.max(0, planes.bits + 2 * node.ones - node.reach), sums);
  if (near === 0) {
    return;
  }
  if (halves.length === 0) {
    scan.pass(block, near, sums);
    node.reach = scan.reach;
    return;
  }
  node.reach = 0;
  for (const half of halves) {
    visit(planes, half, block, sums);
    node.reach = Math.max(node.reach, half.reach);
  }
}

/** The scan for one query. */
class HammingScan {
  /** Slots by distance, … */
  private readonly kept: number[][] = [];
  /** … and how many within the limit, beyond which none is among the nearest any more. */
  private inside = 0;
  private limit: number;
  private readonly ones: number;

  constructor(
    private readonly planes: BitPlanes,
    readonly query: Int32Array,
    private readonly limits: Limits,
    private readonly slots: Int32Array,
  ) {
    this.limit = Math.min(limits.radius, planes.bits);
    this.ones = onesOf(query);
  }

  /**
   * What a sum may lack of `bits` and twice the ones that were added up: with all others of the query it would have
   * bits + |q| − limit.
   */
  get reach(): number {
    return this.ones + this.limit;
  }

  /** Keeps those of a block's codes that may be among the nearest: near ones, by their sums on a level. */
  pass(block: number, near: number, sums: Int32Array): void {
    const { ones, planes } = this;
    for (let rest = near; rest !== 0; rest &= rest - 1) {
      const lane = 31 - Math.clz32(rest & -rest);
      const slot = planes.slot(block, lane);
      if (slot !== undefined && this.limits.allowed[slot] === 1) {
        this.offer(slot, planes.bits + ones - sumOf(lane, sums));
      }
    }
  }

  /** Writes the nearest to `slots`, and returns how many they are. */
  end(): number {
    const { kept, limit, slots } = this;
    kept[limit]?.sort((a, b) => a - b);
    let found = 0;
    for (const some of kept.slice(0, limit + 1)) {
      for (const slot of some ?? []) {
        slots[found++] = slot;
      }
    }
    return Math.min(found, slots.length);
  }

  private offer(slot: number, distance: number): void {
    const { kept, slots } = this;
    if (distance > this.limit) {
      return;
    }
    kept[distance] ??= [];
    kept[distance].push(slot);
    this.inside++;
    for (;;) {
      const farthest = kept[this.limit]?.length ?? 0;
      if (this.inside - farthest < slots.length) {
        return;
      }
      this.inside -= farthest;
      this.limit--;
    }
  }
}
