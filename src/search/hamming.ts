import { type BitPlanes, BLOCK, sumOf, sumsFrom } from './BitPlanes.js';
import type { CodeBlocks } from './CodeBlocks.js';
import type { Finder } from './candidates.js';
import { countBits, hammingDistance, onesIn } from './packedCodes.js';
import { joined, orderBySimilarity, sortedBy } from './similarOrder.js';

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
export function hammingFinder(
  blocks: CodeBlocks,
  queries: Int32Array,
  words: number,
  limits: Limits,
): Finder {
  const slots = new Int32Array(Math.min(limits.most, limits.allowed.length));
  const order = Int32Array.from(Array(queries.length / words).keys());
  orderBySimilarity(queries, words, order, 1);
  let nearest: number[][] = [];
  let asked = 0;
  const find = () => {
    if (asked % TOGETHER === 0) {
      const next = order.subarray(asked, asked + TOGETHER);
      const codes = Array.from(next, (i) => queries.subarray(i * words, (i + 1) * words));
      nearest = nearestOf(blocks, codes, limits);
    }
    const found = nearest[asked++ % TOGETHER] as number[];
    slots.set(found);
    return found.length;
  };
  return { slots, order, find };
}

/** The slots for each of a few queries, which are alike. */
function nearestOf(blocks: CodeBlocks, queries: readonly Int32Array[], limits: Limits): number[][] {
  const { codes, centers, groups } = blocks;
  const scans = queries.map((query) => new HammingScan(blocks, query, limits));
  const root = nodeOf(codes, scans);
  const query = queries[0] as Int32Array;
  // Near ones first: they say how near the others must be.
  for (const group of sortedBy(groups.keys(), (i) => hammingDistance(groups[i] as Int32Array, query))) {
    mark(centers, root, group);
    for (let lane = 0; lane < BLOCK; lane++) {
      visit(codes, root, group * BLOCK + lane);
    }
  }
  return scans.map((scan) => scan.end());
}

/** Queries, and what is added up for all of them: the ones that they have in common, less those of the node above. */
interface Node {
  readonly planes: Int32Array;
  /** The sums of the block that was added up last. */
  readonly sums: Int32Array;
  /** Ones that all queries have. */
  readonly ones: number;
  /** The most of |q| + limit: a code whose sum lacks more of bits + 2·ones is too far from each of them. */
  reach: number;
  /** Of the group at hand, a one for each block that may hold a code near enough to one of them. */
  blocks: number;
  readonly scan: HammingScan;
  readonly halves: readonly Node[];
}

function nodeOf(planes: BitPlanes, scans: readonly HammingScan[], known?: Int32Array): Node {
  const common = scans
    .map(({ query }) => query)
    .reduce((a, b) => a.map((word, i) => word & (b[i] as number)));
  const half = Math.ceil(scans.length / 2);
  const halves = scans.length === 1 ? [] : [scans.slice(0, half), scans.slice(half)];
  const node: Node = {
    planes: planes.planesOf(common.map((word, i) => word & ~(known?.[i] ?? 0))),
    sums: planes.newSums(),
    ones: common.reduce((ones, word) => ones + countBits(word), 0),
    reach: 0,
    blocks: 0,
    scan: scans[0] as HammingScan,
    halves: halves.map((some) => nodeOf(planes, some, common)),
  };
  updateReach(node);
  return node;
}

function updateReach(node: Node): void {
  node.reach = node.halves.length === 0 ? node.ones + node.scan.limit : 0;
  for (const { reach } of node.halves) {
    node.reach = Math.max(node.reach, reach);
  }
}

/** Finds by a group of centers which blocks the queries are to be compared with. */
function mark(centers: BitPlanes, node: Node, group: number, known?: Int32Array): void {
  node.blocks = nearBy(centers, node, group, known);
  if (node.blocks !== 0 && node.halves.length > 0) {
    node.blocks = 0;
    for (const half of node.halves) {
      mark(centers, half, group, node.sums);
      node.blocks |= half.blocks;
    }
  }
}

/** Compares a block, if it is marked, with queries, as long as a code of it may be near enough to one of them. */
function visit(codes: BitPlanes, node: Node, block: number, known?: Int32Array): void {
  const near = (node.blocks >>> (block % BLOCK)) & 1 ? nearBy(codes, node, block, known) : 0;
  if (near === 0) {
    return;
  }
  if (node.halves.length === 0) {
    node.scan.pass(block, near, node);
  }
  for (const half of node.halves) {
    visit(codes, half, block, node.sums);
  }
  updateReach(node);
}

/** A word with a one for each code of a block that may be near enough to one of a node's queries. */
function nearBy(planes: BitPlanes, node: Node, block: number, known?: Int32Array): number {
  planes.add(block, node.planes, known, node.sums);
  return sumsFrom(Math.max(0, planes.bits + 2 * node.ones - node.reach), node.sums);
}

/** The scan for one query. */
class HammingScan {
  /** Slots by distance, … */
  private readonly kept: number[][] = [];
  /** … and how many within the limit, beyond which none is among the nearest any more. */
  private inside = 0;
  limit: number;

  constructor(
    private readonly blocks: CodeBlocks,
    readonly query: Int32Array,
    private readonly limits: Limits,
  ) {
    this.limit = Math.min(limits.radius, blocks.codes.bits);
  }

  /** Keeps those of a block's codes that may be among the nearest: near ones, by their sums. */
  pass(block: number, near: number, { ones, sums }: Node): void {
    const { blocks, kept } = this;
    const { allowed, most } = this.limits;
    for (const lane of onesIn(near)) {
      const slot = blocks.slot(block, lane);
      const distance = blocks.codes.bits + ones - sumOf(lane, sums);
      if (slot === undefined || allowed[slot] !== 1 || distance > this.limit) {
        continue;
      }
      kept[distance] ??= [];
      kept[distance].push(slot);
      this.inside++;
      while (this.inside - (kept[this.limit]?.length ?? 0) >= most) {
        this.inside -= kept[this.limit--]?.length ?? 0;
      }
    }
  }

  /** The nearest slots. */
  end(): number[] {
    const { kept, limit } = this;
    kept[limit]?.sort((a, b) => a - b);
    return joined(kept.slice(0, limit + 1)).slice(0, this.limits.most);
  }
}
