/** The pipelines of a search: its buffers and passes. Pure. */
import { sortKernels } from '../attention/kernels.js';
import { slicing, sortPasses } from '../attention/passes.js';
import type { Pass } from '../webgpu/kernels.js';
import type { Program } from '../webgpu/program.js';
import { searchKernels } from './kernels.js';
import type { Metric } from './options.js';

/** Values that a workgroup of search/topk takes at a time. */
const STEP = 512;
/** Most neighbours that the passes find: so many stay while as many come. */
export const MOST_NEIGHBOURS = STEP;
/** Values that a workgroup of search/topk walks over: at least what leaves half of them, at most what takes long. */
const SEGMENT = [2 * STEP, 32 * STEP] as const;
/** Workgroups that keep a GPU busy. */
const BUSY = 256;
const LANES = 64;
/** Vectors and queries that a workgroup of search/compare compares. */
const TILE = { rows: 64, queries: 32 };
/** Queries for which a tile of them is worth its while. */
const TILED = 8;
const WORD = 4;
const METRICS: Readonly<Record<Metric, number>> = { euclidean: 0, cosine: 1, innerProduct: 2 };

/** Consecutive slots whose vectors, and codes, are bound together. */
export interface PartRange {
  readonly first: number;
  readonly count: number;
}

/** A search of a batch of queries in letters of its own. */
export interface SearchShape {
  readonly slots: number;
  readonly queries: number;
  /** vec4u of a stored vector. */
  readonly vectors: number;
  readonly half: boolean;
  readonly metric: Metric;
  /** What rows are multiplied by, as the queries were. */
  readonly rowScale: number;
  /** Neighbours of a query, at most {@link MOST_NEIGHBOURS}. */
  readonly k: number;
  readonly parts: readonly PartRange[];
  /** With codes: the vectors of the nearest `width` codes are compared. Without, all. */
  readonly codes?: { readonly vectors: number; readonly bits: number; readonly width: number };
}

/** Codes are compared and sorted by distance; then vectors are compared, and the k nearest chosen. */
export function searchProgram(shape: SearchShape): Program {
  const { slots, queries, k, codes } = shape;
  const N = (codes?.bits ?? 0) + 1;
  const width = codes?.width ?? slots;
  const { slices } = slicing(slots, N);
  const sort = { R: 1, C: 1, N, causal: false, bucketWindow: false, correct: false };
  const sorted = codes ? sortPasses({ L: slots }, sort, { rows: queries, starts: { bucketsStart: 0 } }) : [];
  const { passes, lists } = topPasses(shape, width);
  const selected = Math.max(1, ...lists) * queries * WORD;
  return {
    key: `search ${JSON.stringify(shape)}`,
    kernels: { ...sortKernels, ...searchKernels },
    outputs: { best: { shape: [queries, k], dtype: 'int32' } },
    scratch: {
      unused: 16,
      values: width * queries * WORD,
      ...{ valuesA: selected, slotsA: selected, valuesB: selected, slotsB: selected },
      ...(codes && {
        buckets: slots * queries * WORD,
        index: slots * queries * WORD,
        counts: queries * slices * (N + 1) * WORD,
      }),
    },
    batches: [
      {
        parts: {},
        passes: [
          ...(codes ? shape.parts.map((_, i) => hammingPass(shape, i, codes)) : []),
          ...sorted,
          ...shape.parts.map((_, i) =>
            codes === undefined && queries >= TILED ? comparePass(shape, i) : rerankPass(shape, i, width),
          ),
          ...passes,
        ],
      },
    ],
  };
}

function hammingPass(
  { slots, queries, parts }: SearchShape,
  i: number,
  { vectors, bits }: { readonly vectors: number; readonly bits: number },
): Pass {
  const { first, count } = parts[i] as PartRange;
  return {
    kernel: 'search/hamming',
    constants: {},
    sizes: {},
    params: { slots, firstSlot: first, partSlots: count, queries, vectors, lastKey: bits + 1 },
    aliases: { codes: `codes${i}`, keys: 'buckets' },
    workgroups: Math.ceil(count / LANES),
  };
}

/** Vectors of a part beside all queries. */
function comparePass(
  { slots, queries, vectors, half, metric, rowScale, parts }: SearchShape,
  i: number,
): Pass {
  const { first, count } = parts[i] as PartRange;
  const tiles = Math.ceil(count / TILE.rows);
  return {
    kernel: 'search/compare',
    constants: { HALF: Number(half), METRIC: METRICS[metric] },
    sizes: {},
    params: { slots, firstSlot: first, partSlots: count, queries, vectors, tiles, rowScale },
    aliases: { rows: `rows${i}` },
    workgroups: tiles * Math.ceil(queries / TILE.queries),
    operations: operationsOf(metric, count * queries, vectors, half),
  };
}

/** Those of distances between as many pairs. */
function operationsOf(metric: Metric, pairs: number, vectors: number, half: boolean): number {
  return (metric === 'innerProduct' ? 2 : 3) * pairs * vectors * (half ? 8 : 4);
}

/** Vectors of a part beside a query: all, or those of its list. */
function rerankPass(shape: SearchShape, i: number, width: number): Pass {
  const { slots, queries, vectors, half, metric, rowScale, codes } = shape;
  const { first, count } = shape.parts[i] as PartRange;
  const listed = codes !== undefined;
  const tiles = Math.ceil((listed ? width : count) / LANES);
  return {
    kernel: 'search/rerank',
    constants: { HALF: Number(half), METRIC: METRICS[metric] },
    sizes: {},
    params: {
      ...{ slots, firstSlot: first, partSlots: count, width, vectors, tiles, rowScale },
      listed: Number(listed),
    },
    aliases: { rows: `rows${i}`, lists: listed ? 'index' : 'unused' },
    workgroups: tiles * queries,
    operations: operationsOf(metric, (listed ? width : count) * queries, vectors, half),
  };
}

/** Passes that leave the k best, and how many values each leaves of a query. */
function topPasses({ slots, queries, k, codes }: SearchShape, all: number) {
  const passes: Pass[] = [];
  const lists: number[] = [];
  let width = all;
  for (let level = 0; ; level++) {
    const even = STEP * Math.ceil((width * queries) / BUSY / STEP);
    const segment = Math.min(SEGMENT[1], Math.max(SEGMENT[0], even));
    const segments = Math.ceil(width / segment);
    const [from, to] = level % 2 === 1 ? ['A', 'B'] : ['B', 'A'];
    const source =
      level === 0
        ? { values: 'values', lists: codes ? 'index' : 'unused' }
        : { values: `values${from}`, lists: `slots${from}` };
    passes.push({
      kernel: 'search/topk',
      constants: {},
      sizes: {},
      params: {
        width,
        pitch: level === 0 ? slots : width,
        listed: Number(level > 0 || codes !== undefined),
        ...{ k, segment, segments },
      },
      aliases: { ...source, bestValues: `values${to}`, bestSlots: segments === 1 ? 'best' : `slots${to}` },
      workgroups: segments * queries,
    });
    width = segments * k;
    lists.push(width);
    if (segments === 1) {
      break;
    }
  }
  return { passes, lists };
}
