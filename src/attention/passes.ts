/** The pipelines: for each tfjs kernel of this package, its buffers and its passes. Pure. */
import { hadamardShape, signCount } from '../hashing/hadamard.js';
import type { KernelName, Pass } from '../webgpu/kernels.js';
import type { DeviceTraits } from '../webgpu/traits.js';
import type { BatchLayout, OpBuffers, RowSpec } from './batches.js';
import { dropoutThreshold } from './dropout.js';
import type { Settings, Shape } from './settings.js';
import { tileOf, variantOf, variantsOf } from './variants.js';

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
interface HashVariant extends Partial<Pick<Pass, 'constants' | 'sizes' | 'params'>> {
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

/** The buffers of an op. */
export function opBuffers(
  name: OpName,
  { B, H, L, D, E }: Shape,
  settings: Settings,
  device: DeviceTraits,
): OpBuffers {
  const { R, F } = settings;
  const qk = L * D * WORD;
  const v = L * E * WORD;
  const lse = L * WORD;
  const buckets = R * L * WORD;
  if (name === 'LshBuckets') {
    return {
      inputs: { qk },
      outputs: { buckets: { axes: [R, L], dtype: 'int32' } },
      scratch: {},
      whole: {
        ...(settings.hadamard
          ? { signs: signCount({ H, D, R, F }) * WORD }
          : { rotations: settings.rotationHeads * D * R * F * WORD }),
        ...(settings.masked ? { mask: B * L * WORD } : {}),
      },
    };
  }
  const { slices } = slicing(L, settings.N);
  const sorted = {
    counts: R * slices * (settings.N + 1) * WORD,
    index: (R * L + windowWords(L, settings)) * WORD,
    inverseNorms: lse,
  };
  const rows = (...axes: number[]): RowSpec => ({ axes, dtype: 'float32' });
  return name === 'LshAttention'
    ? {
        inputs: { qk, v, buckets },
        outputs: { out: rows(L, E), lse: rows(L) },
        scratch: halves(settings, device) ? { ...sorted, halfQk: qk / 2, halfV: v / 2 } : sorted,
        whole: {},
      }
    : {
        inputs: { qk, v, buckets, out: v, lse, grad: v, lseGrad: lse },
        outputs: { dqk: rows(L, D), dv: rows(L, E) },
        scratch: { ...sorted, facts: 4 * lse },
        whole: {},
      };
}

/** The passes of an op, for one batch of rows, in the variants that suit the device. */
export function opPasses(
  name: OpName,
  shape: Shape,
  settings: Settings,
  layout: BatchLayout,
  device: DeviceTraits,
): Pass[] {
  switch (name) {
    case 'LshBuckets':
      return [hashPass(shape, settings, layout, device)];
    case 'LshAttention':
      return [...sortPasses(shape, settings, layout), ...forwardPasses(shape, settings, layout, device)];
    case 'LshAttentionGradient':
      return [...sortPasses(shape, settings, layout), ...backwardPasses(shape, settings, layout, device)];
  }
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
    { tile, together = 1, constants = masked, sizes = {}, params = {} }: HashVariant,
  ): Pass => {
    const tiles = Math.ceil(L / tile);
    return {
      ...{ kernel, constants, sizes },
      params: {
        ...{ H, L, D, R, F, N, tiles, firstRow, ...starts, ...params },
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
      // A query stays where it is for all rounds.
      ...{ tile: TOKEN_TILE * ROWS, together: R, params: { rotationHeads, together: R } },
      constants: rotated,
      sizes: { ROWS, DEPTH_VECTORS: Math.ceil(D / 4) },
    });
  }
  const ROWS = L <= FEW_TOKENS ? 1 : HASH_TILE / FEW_TOKENS;
  // A tile of columns is as wide as several rounds.
  const together = Math.min(R, Math.max(1, Math.floor(HASH_COLUMNS / F)));
  return pass('hash/rotate', {
    ...{ tile: FEW_TOKENS * ROWS, together, params: { rotationHeads, together } },
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
  const sort = { constants: {}, sizes: {}, params, workgroups: rows * R * slices };
  const keys = { keys: 'buckets' };
  return [
    { ...sort, kernel: 'sort/count', aliases: keys },
    {
      ...sort,
      kernel: 'sort/scan',
      constants: { WRITE_EDGES: Number(settings.bucketWindow) },
      aliases: {},
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
    kernel: 'sort/arrange',
    constants: {},
    sizes: {},
    params: { L, C, tiles },
    aliases: {},
    workgroups: rows * tiles,
  };
}

function normalisePass(
  { L, D }: Shape,
  { epsilon }: Settings,
  { rows, starts }: BatchLayout,
  half = false,
): Pass {
  return {
    kernel: 'attend/normalise',
    constants: {},
    sizes: {},
    half,
    params: { D, tokens: rows * L, qkStart: half ? 0 : (starts.qkStart as number), epsilon },
    aliases: half ? { qk: HALVES.qk } : {},
    workgroups: Math.ceil((rows * L) / TOKEN_TILE),
  };
}

/** vec4 a lane holds of `columns`, a power of two: each is a pipeline of its own, and takes seconds to compile. */
export function vectors(columns: number): number {
  return 2 ** Math.ceil(Math.log2(Math.ceil(columns / 32)));
}

/** What forward and backward kernels share: which pairs there are, and which of them are dropped. */
function pairs(shape: Shape, settings: Settings, { firstRow, rows, starts }: BatchLayout, round: number) {
  const { H, L, D, E } = shape;
  const { R, C, P, A, N, dropout, seed } = settings;
  const tiles = Math.ceil(L / PAIR_TILE);
  return {
    constants: {},
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
    aliases: {},
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
  return {
    kernel: 'attend/halve',
    constants: {},
    sizes: {},
    params: { vectors, rowsStart: layout.starts[`${name}Start`] as number },
    aliases: { rows: name, halves: HALVES[name] },
    workgroups: Math.ceil(vectors / TOKEN_TILE),
  };
}

function forwardPasses(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass[] {
  const { rows } = layout;
  const half = halves(settings, device);
  const { L, D, E } = shape;
  const variant = variantOf('attend/forward', shape, device);
  const tile = variant.subgroup ? undefined : tileOf(variant);
  const tiles = Math.ceil(L / (tile?.queries ?? TOKEN_TILE * variant.rows));
  const drops = { DROPOUT: Number(settings.dropout > 0) };
  const rounds = Array.from({ length: settings.R }, (_, round): Pass => {
    const common = pairs(shape, settings, layout, round);
    const params = {
      ...common.params,
      scale: settings.scale * Math.LOG2E,
      tiles,
      ...(half ? { qkStart: 0, vStart: 0 } : {}),
    };
    const stored = {
      ...common,
      ...(half && { half, aliases: HALVES }),
      workgroups: rows * tiles,
    };
    if (tile) {
      const sizes = { ...tile.sizes, COLUMN_VECTORS: vectors(E) };
      return { ...stored, kernel: 'attend/forward', constants: drops, sizes, params };
    }
    return {
      ...stored,
      kernel: 'attend/forward_subgroup',
      constants: { ...drops, WRAP: Number(settings.wrap), LOOPED: Number(device.software) },
      sizes: {
        ...{ ROWS: variant.rows, SUBGROUP: device.subgroupSize },
        ...{ DEPTH_VECTORS: D / 4, COLUMN_VECTORS: E / 4 },
      },
      params,
    };
  });
  const halved = half ? [halvePass('qk', D, shape, layout), halvePass('v', E, shape, layout)] : [];
  return [...halved, normalisePass(shape, settings, layout, half), ...rounds];
}

function backwardPasses(shape: Shape, settings: Settings, layout: BatchLayout, device: DeviceTraits): Pass[] {
  const { L, E } = shape;
  const { rows, starts } = layout;
  const delta: Pass = {
    kernel: 'attend/delta',
    constants: {},
    sizes: {},
    params: { E, tokens: rows * L, ...starts },
    aliases: {},
    workgroups: Math.ceil((rows * L) / TOKEN_TILE),
  };
  const rounds = Array.from({ length: settings.R }, (_, round) =>
    backwardRound(shape, settings, layout, device, round),
  );
  return [normalisePass(shape, settings, layout), delta, ...rounds.flat()];
}

function backwardRound(
  shape: Shape,
  settings: Settings,
  layout: BatchLayout,
  device: DeviceTraits,
  round: number,
): Pass[] {
  const { L, D, E } = shape;
  const common = pairs(shape, settings, layout, round);
  const params = {
    ...common.params,
    logitScale: settings.scale * Math.LOG2E,
    scale: settings.scale,
  };
  const { subgroup, rows: ROWS } = variantOf('attend/backward', shape, device);
  if (!subgroup) {
    const DEPTH_VECTORS = vectors(D);
    const COLUMN_VECTORS = vectors(E);
    return [
      { ...common, kernel: 'attend/backward_query', sizes: { DEPTH_VECTORS }, params },
      { ...common, kernel: 'attend/backward_key', sizes: { DEPTH_VECTORS, COLUMN_VECTORS }, params },
    ];
  }
  const tiles = Math.ceil(L / (TOKEN_TILE * ROWS));
  const pass = {
    ...common,
    constants: { DROPOUT: Number(settings.dropout > 0), LOOPED: Number(device.software) },
    sizes: { ROWS, SUBGROUP: device.subgroupSize, DEPTH_VECTORS: D / 4, COLUMN_VECTORS: E / 4 },
    params: { ...params, tiles },
    workgroups: layout.rows * tiles,
  };
  return [
    { ...pass, kernel: 'attend/backward_query_subgroup' },
    { ...pass, kernel: 'attend/backward_key_subgroup' },
  ];
}
