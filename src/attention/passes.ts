/** The pipelines: for each tfjs kernel of this package, its buffers and its passes. Pure. */
import { hadamardShape, signCount } from '../hashing/hadamard.js';
import { type KernelName, type Pass, PLAIN } from '../webgpu/kernels.js';
import type { DeviceTraits } from '../webgpu/traits.js';
import { type BatchLayout, floatRows, type OpBuffers } from './batches.js';
import { dropoutThreshold } from './dropout.js';
import type { Settings, Shape } from './settings.js';
import { queriesOf, sizesOf, variantOf, variantsOf, vectors } from './variants.js';

// Tokens that one workgroup takes; the kernels of the same name say so too.
const PAIR_TILE = 32;
const HASH_TILE = 64;
/** Numbers, Dp to a token, that a workgroup of hash/hadamard holds. */
const HADAMARD_NUMBERS = 2048;
const TOKEN_TILE = 64;
/** Keys for which a workgroup of sort/place holds bits of their own, padding's among them. */
const UNSHARED_KEYS = 1024;
/** Slots that a workgroup of sort/arrange holds at most. Longer chunks keep the order of their buckets. */
const LONGEST_ARRANGED = 1024;
/** Columns of a tile of hash/rotate. */
const HASH_COLUMNS = 64;
/** Decoding hashes a few tokens at a time. */
const FEW_TOKENS = 8;

/** How a hash kernel divides its work. */
interface HashVariant extends Partial<Pick<Pass, 'constants' | 'sizes'>> {
  /** Tokens of a workgroup. */
  readonly tile: number;
  /** Rounds of a workgroup. */
  readonly together?: number;
}

/** Slices of a row to sort are at least this long, and four times as long as there are buckets. */
const LEAST_SLICE = 1024;
const WORD = 4;

/** The tfjs kernels of this package: the hash, the attention on its buckets, and its gradient. */
export type OpName = 'LshBuckets' | 'LshAttention' | 'LshAttentionGradient';

/** An op: its buffers, and its passes for one batch of rows, in the variants that suit the device. */
export interface Op {
  readonly name: OpName;
  buffers(shape: Shape, settings: Settings, device: DeviceTraits): OpBuffers;
  passes(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass[];
}

export const bucketsOp: Op = {
  name: 'LshBuckets',
  buffers({ B, H, L, D }, { R, F, hadamard, rotationHeads, masked }) {
    return {
      inputs: { qk: L * D * WORD },
      outputs: { buckets: { axes: [R, L], dtype: 'int32' } },
      whole: {
        ...(hadamard
          ? { signs: signCount({ H, D, R, F }) * WORD }
          : { rotations: rotationHeads * D * R * F * WORD }),
        ...(masked && { mask: B * L * WORD }),
      },
    };
  },
  passes: (...call) => [hashPass(...call)],
};

export const attentionOp: Op = {
  name: 'LshAttention',
  buffers(shape, settings, device) {
    const { inputs, scratch } = attended(shape, settings);
    const { L, E } = shape;
    return {
      inputs,
      outputs: { out: floatRows(L, E), lse: floatRows(L) },
      scratch: {
        ...scratch,
        ...(halves(settings, device) && { halfQk: inputs.qk / 2, halfV: inputs.v / 2 }),
      },
    };
  },
  passes: forwardPasses,
};

export const gradientOp: Op = {
  name: 'LshAttentionGradient',
  buffers(shape, settings) {
    const { L, D, E } = shape;
    const { inputs, scratch, lse } = attended(shape, settings);
    const { v } = inputs;
    return {
      inputs: { ...inputs, out: v, lse, grad: v, lseGrad: lse },
      outputs: { dqk: floatRows(L, D), dv: floatRows(L, E) },
      scratch: { ...scratch, facts: 4 * lse },
    };
  },
  passes: backwardPasses,
};

/** What attention and its gradient both take, and sort. */
function attended({ L, D, E }: Shape, settings: Settings) {
  const { R, N } = settings;
  const lse = L * WORD;
  return {
    inputs: { qk: lse * D, v: lse * E, buckets: lse * R },
    scratch: {
      counts: R * slicing(L, N).slices * (N + 1) * WORD,
      index: lse * R + windowWords(L, settings) * WORD,
      inverseNorms: lse,
    },
    lse,
  };
}

/** Whether later rounds ask which chunk a token was in. */
function remembersChunks({ correct, R, bucketWindow }: SortSettings): boolean {
  return correct && R > 1 && !bucketWindow;
}

/** Words of a row's windows, which follow the order in the buffer `index`. */
function windowWords(L: number, settings: Settings): number {
  const { R, N, bucketWindow } = settings;
  return bucketWindow ? R * (N + 2) : remembersChunks(settings) ? R * L : 0;
}

/** How a row of L keys is cut for the sort. */
export function slicing(L: number, N: number): { slices: number; sliceLength: number } {
  const sliceLength = Math.max(1, Math.min(L, Math.max(LEAST_SLICE, 4 * (N + 1))));
  return { slices: Math.ceil(L / sliceLength), sliceLength };
}

function hashPass(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass {
  const { H, L, D } = shape;
  const { R, F, N, hadamard, rotationHeads } = settings;
  const { firstRow, rows, starts } = layout;
  const masked = { MASKED: Number(settings.masked) };
  const rotated = { ...masked, FLIPPED: settings.flipped ?? 0 };
  const pass = (
    kernel: KernelName,
    { tile, together = 1, constants = masked, sizes = {} }: HashVariant,
  ): Pass => {
    const tiles = Math.ceil(L / tile);
    return {
      ...{ kernel, constants, sizes },
      params: {
        ...{ H, L, D, R, F, N, rotationHeads, together, tiles, firstRow, ...starts },
        halves: settings.factors.map((f) => f / 2),
      },
      aliases: settings.masked ? {} : { mask: 'unused' },
      workgroups: tiles * Math.ceil(R / together) * rows,
    };
  };
  if (hadamard) {
    return pass('hash/hadamard', {
      tile: Math.min(HASH_TILE, HADAMARD_NUMBERS / hadamardShape({ D, F }).Dp),
    });
  }
  // On a hardware GPU tiles are faster (H200).
  if (device.software && variantsOf('attend/forward', { ...shape, E: D }, device)[0]?.subgroup) {
    const ROWS = 4;
    return pass('hash/rotate_subgroup', {
      tile: TOKEN_TILE * ROWS,
      together: R, // a query stays where it is for all rounds
      constants: rotated,
      sizes: { ROWS, DEPTH_VECTORS: Math.ceil(D / 4) },
    });
  }
  const ROWS = L <= FEW_TOKENS ? 1 : HASH_TILE / FEW_TOKENS;
  // A tile of columns is as wide as several rounds.
  const together = Math.min(R, Math.max(1, Math.floor(HASH_COLUMNS / F)));
  return pass('hash/rotate', {
    ...{ tile: FEW_TOKENS * ROWS, together },
    constants: rotated,
    sizes: { ROWS },
  });
}

/** What the sort must know of an attention, or of another that sorts by keys. */
type SortSettings = Pick<Settings, 'R' | 'C' | 'N' | 'causal' | 'bucketWindow' | 'correct'>;

/** Sorts the tokens of every round by bucket, and notes what tells windows apart. */
export function sortPasses(
  { L }: Pick<Shape, 'L'>,
  settings: SortSettings,
  { rows, starts }: Pick<BatchLayout, 'rows' | 'starts'>,
): Pass[] {
  const { R, C, N } = settings;
  const { slices, sliceLength } = slicing(L, N);
  const params = {
    L,
    N,
    slices,
    sliceLength,
    keysStart: starts.bucketsStart as number,
    windowsStart: rows * R * L,
  };
  const sort = { ...PLAIN, params, workgroups: rows * R * slices };
  const keys = { keys: 'buckets' };
  return [
    { ...sort, kernel: 'sort/count', aliases: keys },
    {
      ...sort,
      kernel: 'sort/scan',
      constants: { WRITE_EDGES: Number(settings.bucketWindow) },
      workgroups: rows * R,
    },
    {
      ...sort,
      kernel: 'sort/place',
      constants: { WRITE_CHUNKS: Number(remembersChunks(settings)), SHARED: Number(N >= UNSHARED_KEYS) },
      params: { ...params, C },
      aliases: keys,
    },
    ...(settings.causal && !settings.bucketWindow && C <= LONGEST_ARRANGED
      ? [arrangePass(L, C, rows * R)]
      : []),
  ];
}

function arrangePass(L: number, C: number, rows: number): Pass {
  const tiles = Math.ceil(L / (Math.max(1, Math.floor(TOKEN_TILE / C)) * C));
  return {
    ...PLAIN,
    kernel: 'sort/arrange',
    params: { L, C, tiles },
    workgroups: rows * tiles,
  };
}

/** A pass in which each lane takes one of so many things. */
function passOver(count: number, kernel: KernelName, params: Pass['params']): Pass {
  return { ...PLAIN, kernel, params, workgroups: Math.ceil(count / TOKEN_TILE) };
}

function normalisePass(
  { L, D }: Shape,
  { epsilon }: Settings,
  { rows, starts }: BatchLayout,
  half = false,
): Pass {
  const tokens = rows * L;
  const qkStart = half ? 0 : (starts.qkStart as number);
  return {
    ...passOver(tokens, 'attend/normalise', { D, tokens, qkStart, epsilon }),
    half,
    aliases: half ? { qk: HALVES.qk } : {},
  };
}

/** What forward and backward kernels share: which pairs there are, and which of them are dropped. */
function pairs(
  shape: Shape,
  settings: Settings,
  { firstRow, rows, starts }: BatchLayout,
  round: number,
  tiles: number,
) {
  const { H, L, D, E } = shape;
  const { R, C, P, A, N, dropout, seed } = settings;
  return {
    ...PLAIN,
    params: {
      ...{ L, D, E, R, C, P, A, N, round, tiles, H, seed, firstRow, ...starts },
      windowsStart: rows * R * L,
      bucketWindow: Number(settings.bucketWindow),
      causal: Number(settings.causal),
      wrap: Number(settings.wrap),
      acrossBuckets: Number(settings.acrossBuckets),
      correct: Number(settings.correct && R > 1),
      dropBelow: dropoutThreshold(dropout),
      keep: 1 / (1 - dropout),
    },
    workgroups: rows * tiles,
  };
}

/** Rows as 16-bit floats, where they are asked for and the device has them: scratch of these names. */
const HALVES = { qk: 'halfQk', v: 'halfV' } as const;

function halves({ half }: Settings, { f16 }: DeviceTraits): boolean {
  return half && f16;
}

function halvePass(name: keyof typeof HALVES, depth: number, { L }: Shape, layout: BatchLayout): Pass {
  const vectors = (layout.rows * L * depth) / 4;
  const rowsStart = layout.starts[`${name}Start`] as number;
  return {
    ...passOver(vectors, 'attend/halve', { vectors, rowsStart }),
    aliases: { rows: name, halves: HALVES[name] },
  };
}

function forwardPasses(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass[] {
  const { D, E } = shape;
  const half = halves(settings, device);
  const variant = variantOf('attend/forward', shape, device);
  const tiles = Math.ceil(shape.L / queriesOf(variant));
  const drops = { DROPOUT: Number(settings.dropout > 0) };
  const compiled: Pick<Pass, 'kernel' | 'constants'> = variant.subgroup
    ? {
        kernel: 'attend/forward_subgroup',
        constants: { ...drops, WRAP: Number(settings.wrap), LOOPED: Number(device.software) },
      }
    : { kernel: 'attend/forward', constants: drops };
  const rounds = Array.from({ length: settings.R }, (_, round): Pass => {
    const common = pairs(shape, settings, layout, round, tiles);
    return {
      ...common,
      ...compiled,
      sizes: sizesOf(variant, shape, device),
      ...(half && { half, aliases: HALVES }),
      params: {
        ...common.params,
        scale: settings.scale * Math.LOG2E,
        ...(half && { qkStart: 0, vStart: 0 }),
      },
    };
  });
  const halved = half ? [halvePass('qk', D, shape, layout), halvePass('v', E, shape, layout)] : [];
  return [
    ...sortPasses(shape, settings, layout),
    ...halved,
    normalisePass(shape, settings, layout, half),
    ...rounds,
  ];
}

/** What the gradient must know of each token's output. */
export function deltaPass(
  kernel: 'attend/delta' | 'dense/delta',
  { L, E }: Pick<Shape, 'L' | 'E'>,
  { rows, starts }: BatchLayout,
): Pass {
  const tokens = rows * L;
  return passOver(tokens, kernel, { E, tokens, ...starts });
}

function backwardPasses(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass[] {
  const rounds = Array.from({ length: settings.R }, (_, round) =>
    backwardRound(shape, settings, layout, device, round),
  );
  return [
    ...sortPasses(shape, settings, layout),
    normalisePass(shape, settings, layout),
    deltaPass('attend/delta', shape, layout),
    ...rounds.flat(),
  ];
}

function backwardRound(
  shape: Shape,
  settings: Settings,
  layout: BatchLayout,
  device: DeviceTraits,
  round: number,
): Pass[] {
  const { L, D, E } = shape;
  const variant = variantOf('attend/backward', shape, device);
  const { subgroup } = variant;
  const tiles = Math.ceil(L / (subgroup ? queriesOf(variant) : PAIR_TILE));
  const common = pairs(shape, settings, layout, round, tiles);
  const params = {
    ...common.params,
    logitScale: settings.scale * Math.LOG2E,
    scale: settings.scale,
  };
  if (!subgroup) {
    const DEPTH_VECTORS = vectors(D);
    const COLUMN_VECTORS = vectors(E);
    return [
      { ...common, kernel: 'attend/backward_query', sizes: { DEPTH_VECTORS }, params },
      { ...common, kernel: 'attend/backward_key', sizes: { DEPTH_VECTORS, COLUMN_VECTORS }, params },
    ];
  }
  const pass = {
    ...common,
    constants: { DROPOUT: Number(settings.dropout > 0), LOOPED: Number(device.software) },
    sizes: sizesOf(variant, shape, device),
    params,
  };
  return [
    { ...pass, kernel: 'attend/backward_query_subgroup' },
    { ...pass, kernel: 'attend/backward_key_subgroup' },
  ];
}
