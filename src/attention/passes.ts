import type { Pass } from '../webgpu/kernels.js';
import type { Settings, Shape } from './settings.js';

// Tokens that one workgroup takes; the kernels of the same name say so too.
const QUERY_TILE = 32;
const HASH_TILE = 64;
const NORM_TILE = 64;

/** How a batch of rows lies in memory. */
export interface BatchLayout {
  readonly firstRow: number;
  readonly rows: number;
  /** Elements between the start of a tensor's binding and the batch's first row. */
  readonly starts: Readonly<Record<string, number>>;
  readonly slices: number;
  readonly sliceLength: number;
  readonly remembersChunks: boolean;
}

/** Whether given buckets and a mask are two things: what to sort by, and what to exclude. */
export function sortsByKeys({ hashed, masked }: Settings): boolean {
  return masked && !hashed;
}

/** The pipeline: hash, sort, then one pass of attention a round. */
export function attentionPasses(shape: Shape, settings: Settings, layout: BatchLayout): Pass[] {
  const { L, D, E } = shape;
  const { R, C, P, A, N } = settings;
  const { rows, starts, slices, sliceLength, remembersChunks } = layout;
  const bucketsStart = starts.buckets as number;
  const row = { L, N, slices, sliceLength, keysStart: starts.keys ?? bucketsStart };
  const keys: Record<string, string> = sortsByKeys(settings) ? {} : { keys: 'buckets' };
  const chunks: Record<string, string> = remembersChunks ? {} : { chunks: 'unused' };
  const sort = { constants: {}, sizes: {}, params: row, workgroups: rows * R * slices };
  const tiles = Math.ceil(L / QUERY_TILE);
  return [
    ...(settings.hashed ? [hashPass(shape, settings, layout)] : []),
    { ...sort, kernel: 'sort/count', aliases: keys },
    { ...sort, kernel: 'sort/scan', aliases: {}, workgroups: rows * R },
    {
      ...sort,
      kernel: 'sort/place',
      constants: { WRITE_CHUNKS: Number(remembersChunks) },
      params: { ...row, C },
      aliases: { ...keys, ...chunks },
    },
    {
      kernel: 'attend/normalise',
      constants: {},
      sizes: {},
      params: { D, tokens: rows * L, qkStart: starts.qk as number },
      aliases: {},
      workgroups: Math.ceil((rows * L) / NORM_TILE),
    },
    ...Array.from(
      { length: R },
      (_, round): Pass => ({
        kernel: 'attend/forward',
        constants: {
          CAUSAL: Number(settings.causal),
          WRAP: Number(settings.wrap),
          ACROSS_BUCKETS: Number(settings.acrossBuckets),
          CORRECT: Number(remembersChunks),
        },
        sizes: { COLUMN_VECTORS: Math.ceil(E / 32) },
        params: {
          ...{ L, D, E, R, C, P, A, N, round, tiles, bucketsStart },
          qkStart: starts.qk as number,
          vStart: starts.v as number,
          outStart: starts.out as number,
          lseStart: starts.lse as number,
          scale: settings.scale * Math.LOG2E,
        },
        aliases: chunks,
        workgroups: rows * tiles,
      }),
    ),
  ];
}

/** The hash alone, which `lshBuckets` runs by itself. */
export function hashPass(
  { H, L, D }: Shape,
  settings: Settings,
  { firstRow, rows, starts }: BatchLayout,
): Pass {
  const { R, F, N } = settings;
  const tiles = Math.ceil(L / HASH_TILE);
  const halves = settings.factors.map((f) => f / 2);
  return {
    kernel: 'hash/rotate',
    constants: { MASKED: Number(settings.masked) },
    sizes: {},
    params: {
      ...{ H, L, D, R, F, N, tiles, firstRow },
      rotationHeads: settings.rotationHeads,
      qkStart: starts.qk as number,
      bucketsStart: starts.buckets as number,
      halves,
    },
    aliases: settings.masked ? {} : { mask: 'unused' },
    workgroups: tiles * R * rows,
  };
}
