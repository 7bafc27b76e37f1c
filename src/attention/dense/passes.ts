/** The ops of exact attention: their buffers and their passes. Pure. */

import type { Door } from '../../door.js';
import type { Pass } from '../../webgpu/kernels.js';
import type { DeviceTraits } from '../../webgpu/traits.js';
import { type BatchLayout, type OpBuffers, planRows, type RowSpec, type RowsPlan } from '../batches.js';
import { countsOf } from '../counts.js';
import { dropoutThreshold } from '../dropout.js';
import { vectors } from '../passes.js';
import { tileOf, variantOf } from '../variants.js';
import type { DenseSettings, DenseShape } from './settings.js';

/** The tfjs kernels of exact attention. */
export type DenseOpName = 'DenseAttention' | 'DenseAttentionGradient';

/** What one of them does on the GPU. */
export interface DensePlan extends RowsPlan {
  readonly shape: DenseShape;
  readonly settings: DenseSettings;
}

const WORD = 4;
/** Queries, or keys of the gradient by keys, of a workgroup of the gradient's plain kernels. */
const PLAIN_ROWS = 32;
/** Lanes of a workgroup of the subgroup kernels, each with rows of its own. */
const LANES = 64;
const TOKEN_TILE = 64;

/** The plan of one op of a checked call; depths are multiples of 4. */
export function densePlan(
  name: DenseOpName,
  shape: DenseShape,
  settings: DenseSettings,
  maskBytes: number,
  device: DeviceTraits,
  door: Door,
): DensePlan {
  const passesOf = (layout: BatchLayout) =>
    (name === 'DenseAttention'
      ? [forwardPass(shape, settings, layout, device)]
      : gradientPasses(shape, settings, layout, device)
    ).map((pass) => ({ ...pass, ...countsOf(pass.kernel, shape, settings, layout.rows, 1) }));
  return { shape, settings, ...planRows(shape, buffersOf(name, shape, maskBytes), passesOf, device, door) };
}

function buffersOf(name: DenseOpName, { L, Lk, D, E }: DenseShape, maskBytes: number): OpBuffers {
  const rows = (...axes: number[]): RowSpec => ({ axes, dtype: 'float32' });
  const inputs = { q: L * D * WORD, k: Lk * D * WORD, v: Lk * E * WORD };
  const whole: Record<string, number> = maskBytes > 0 ? { mask: maskBytes } : {};
  const out = L * E * WORD;
  const lse = L * WORD;
  return name === 'DenseAttention'
    ? { inputs, outputs: { out: rows(L, E), lse: rows(L) }, scratch: {}, whole }
    : {
        inputs: { ...inputs, out, lse, grad: out, lseGrad: lse },
        outputs: { dq: rows(L, D), dk: rows(Lk, D), dv: rows(Lk, E) },
        scratch: { facts: 2 * lse },
        whole,
      };
}

/** What all kernels that walk over pairs are given. */
function pairs(
  { H, L, Lk, D, E }: DenseShape,
  { causal, sharedQk, mask, dropout, seed, scale }: DenseSettings,
  { firstRow, rows, starts }: BatchLayout,
  tiles: number,
) {
  const params: Record<string, number> = {
    ...{ L, Lk, D, E, tiles, H, seed, firstRow, ...starts },
    causal: Number(causal),
    sharedQk: Number(sharedQk),
    masked: Number(mask !== undefined),
    maskBatch: mask?.batch ?? 0,
    maskHead: mask?.head ?? 0,
    maskQuery: mask?.query ?? 0,
    dropBelow: dropoutThreshold(dropout),
    keep: 1 / (1 - dropout),
    logitScale: scale * Math.LOG2E,
  };
  const aliases: Record<string, string> = mask === undefined ? { mask: 'unused' } : {};
  const constants = { DROPOUT: Number(dropout > 0) };
  return { constants, params, aliases, workgroups: rows * tiles };
}

function forwardPass(
  shape: DenseShape,
  settings: DenseSettings,
  layout: BatchLayout,
  device: DeviceTraits,
): Pass {
  const { L, E } = shape;
  const variant = variantOf('dense/forward', shape, device);
  const tile = variant.subgroup ? undefined : tileOf(variant);
  const common = pairs(shape, settings, layout, Math.ceil(L / (tile?.queries ?? LANES * variant.rows)));
  if (tile) {
    const sizes = { ...tile.sizes, COLUMN_VECTORS: vectors(E) };
    return { ...common, kernel: 'dense/forward', sizes };
  }
  return {
    ...common,
    kernel: 'dense/forward_subgroup',
    ...subgroupVariant(shape, common.constants, variant.rows, device),
  };
}

/**
 * vec4 of a row that a lane owns, as many as the widest subgroup loads at a time. In loops their number
 * only sets how much memory there is: one pipeline for all depths up to 64.
 */
function rowVectors(depth: number, looped: boolean): number {
  return looped ? 2 ** Math.max(4, Math.ceil(Math.log2(depth / 4))) : Math.ceil(depth / 16) * 4;
}

function gradientPasses(
  shape: DenseShape,
  settings: DenseSettings,
  layout: BatchLayout,
  device: DeviceTraits,
): Pass[] {
  const { L, Lk, D, E } = shape;
  const { rows, starts } = layout;
  const delta: Pass = {
    kernel: 'dense/delta',
    constants: {},
    sizes: {},
    params: { E, tokens: rows * L, ...starts },
    aliases: {},
    workgroups: Math.ceil((rows * L) / TOKEN_TILE),
  };
  const { subgroup, rows: ROWS } = variantOf('dense/backward', shape, device);
  const passOn = (side: 'query' | 'key'): Pass => {
    const length = side === 'query' ? L : Lk;
    const common = pairs(shape, settings, layout, Math.ceil(length / (subgroup ? LANES * ROWS : PLAIN_ROWS)));
    const params = { ...common.params, scale: settings.scale };
    const DEPTH_VECTORS = vectors(D);
    const sizes: Pass['sizes'] =
      side === 'query' ? { DEPTH_VECTORS } : { DEPTH_VECTORS, COLUMN_VECTORS: vectors(E) };
    return subgroup
      ? {
          ...common,
          ...subgroupVariant(shape, common.constants, ROWS, device),
          kernel: `dense/backward_${side}_subgroup`,
          params,
        }
      : { ...common, kernel: `dense/backward_${side}`, sizes, params };
  };
  return [delta, passOn('query'), passOn('key')];
}

/** What all subgroup kernels are compiled with. */
function subgroupVariant(
  { D, E }: DenseShape,
  constants: Readonly<Record<string, number>>,
  ROWS: number,
  { software, subgroupSize: SUBGROUP }: DeviceTraits,
) {
  return {
    constants: { ...constants, LOOPED: Number(software) },
    sizes: {
      ...{ ROWS, SUBGROUP },
      ...{ DEPTH_VECTORS: rowVectors(D, software), COLUMN_VECTORS: rowVectors(E, software) },
    },
  };
}
