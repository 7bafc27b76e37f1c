/** The ops of exact attention: their buffers and their passes. Pure. */

import type { Door } from '../../door.js';
import { type Pass, PLAIN } from '../../webgpu/kernels.js';
import type { DeviceTraits, Variant } from '../../webgpu/traits.js';
import { type BatchLayout, floatRows, type OpBuffers, planRows, type RowsPlan } from '../batches.js';
import { countsOf } from '../counts.js';
import { dropoutThreshold } from '../dropout.js';
import { deltaPass } from '../passes.js';
import { queriesOf, sizesOf, variantOf, vectors } from '../variants.js';
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
  const inputs = { q: L * D * WORD, k: Lk * D * WORD, v: Lk * E * WORD };
  const whole = { ...(maskBytes > 0 && { mask: maskBytes }) };
  const out = L * E * WORD;
  const lse = L * WORD;
  return name === 'DenseAttention'
    ? { inputs, outputs: { out: floatRows(L, E), lse: floatRows(L) }, whole }
    : {
        inputs: { ...inputs, out, lse, grad: out, lseGrad: lse },
        outputs: { dq: floatRows(L, D), dk: floatRows(Lk, D), dv: floatRows(Lk, E) },
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
  return { ...PLAIN, constants, params, aliases, workgroups: rows * tiles };
}

function forwardPass(
  shape: DenseShape,
  settings: DenseSettings,
  layout: BatchLayout,
  device: DeviceTraits,
): Pass {
  const variant = variantOf('dense/forward', shape, device);
  const common = pairs(shape, settings, layout, Math.ceil(shape.L / queriesOf(variant)));
  return variant.subgroup
    ? { ...common, kernel: 'dense/forward_subgroup', ...compiled(variant, shape, common.constants, device) }
    : { ...common, kernel: 'dense/forward', sizes: sizesOf(variant, shape, device) };
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
  const variant = variantOf('dense/backward', shape, device);
  const passOn = (side: 'query' | 'key'): Pass => {
    const length = side === 'query' ? L : Lk;
    const tiles = Math.ceil(length / (variant.subgroup ? queriesOf(variant) : PLAIN_ROWS));
    const common = pairs(shape, settings, layout, tiles);
    const params = { ...common.params, scale: settings.scale };
    const DEPTH_VECTORS = vectors(D);
    const sizes: Pass['sizes'] =
      side === 'query' ? { DEPTH_VECTORS } : { DEPTH_VECTORS, COLUMN_VECTORS: vectors(E) };
    return variant.subgroup
      ? {
          ...common,
          ...compiled(variant, shape, common.constants, device),
          kernel: `dense/backward_${side}_subgroup`,
          params,
        }
      : { ...common, kernel: `dense/backward_${side}`, sizes, params };
  };
  return [deltaPass('dense/delta', shape, layout), passOn('query'), passOn('key')];
}

/** What all subgroup kernels are compiled with. */
function compiled(
  variant: Variant,
  shape: DenseShape,
  constants: Pass['constants'],
  device: DeviceTraits,
): Pick<Pass, 'constants' | 'sizes'> {
  const { software } = device;
  return {
    constants: { ...constants, LOOPED: Number(software) },
    sizes: sizesOf(variant, shape, device, (depth) => rowVectors(depth, software)),
  };
}
