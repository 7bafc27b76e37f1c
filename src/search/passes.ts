/** The pipelines of a search: its buffers and passes. Pure. */
import { sortKernels } from '../attention/kernels.js';
import { slicing, sortPasses } from '../attention/passes.js';
import type { Pass } from '../webgpu/kernels.js';
import type { Program } from '../webgpu/program.js';
import { searchKernels } from './kernels.js';
import type { Metric } from './options.js';

/** Values that a workgroup of search/topk sorts. */
const TILE = 1024;
/** Most neighbours that the passes find: two tiles' best fit into one. */
export const MOST_NEIGHBOURS = TILE / 2;
const LANES = 64;
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
          ...shape.parts.map((_, i) => rerankPass(shape, i, width)),
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
    operations: 3 * tiles * LANES * queries * vectors * (half ? 8 : 4),
  };
}

/** Passes that leave the k best, and how many values each leaves of a query. */
function topPasses({ slots, queries, k, codes }: SearchShape, all: number) {
  const passes: Pass[] = [];
  const lists: number[] = [];
  let width = all;
  for (let level = 0; ; level++) {
    const tiles = Math.ceil(width / TILE);
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
        k,
        tiles,
      },
      aliases: { ...source, bestValues: `values${to}`, bestSlots: tiles === 1 ? 'best' : `slots${to}` },
      workgroups: tiles * queries,
    });
    width = tiles * k;
    lists.push(width);
    if (tiles === 1) {
      break;
    }
  }
  return { passes, lists };
}
