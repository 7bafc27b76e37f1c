import type { DeviceTraits } from '../webgpu/traits.js';
import type { Shape } from './settings.js';

/** Kernels that come in variants: each family does one thing in several ways. */
export const FAMILIES = ['attend/forward', 'attend/backward', 'dense/forward', 'dense/backward'] as const;
/** The name of one of them. */
export type Family = (typeof FAMILIES)[number];

/** One way. Results differ by rounding alone. */
export interface Variant {
  /** Rows in lanes, keys by subgroup shuffles; else tiles in workgroup memory, which every device can do. */
  readonly subgroup: boolean;
  /** Rows that a lane owns, whole ones with subgroups, else with its part of the tile's keys. */
  readonly rows: number;
  /** Keys of a tile in workgroup memory. */
  readonly keys?: number;
}

/** Variants by family, as an autotuner found them. */
export type Tuning = Readonly<Partial<Record<Family, Variant>>>;

/** Shapes of tiles, the likeliest first: smaller ones load more for each product, and hold less in registers. */
const TILES: readonly Variant[] = [
  { subgroup: false, rows: 4, keys: 64 },
  { subgroup: false, rows: 4, keys: 32 },
  { subgroup: false, rows: 2, keys: 64 },
];
/** The gradients' kernels hold more, and have one shape. */
const GRADIENT_TILES: readonly Variant[] = [{ subgroup: false, rows: 4, keys: 32 }];

/** Subgroups hold whole rows in registers: deeper rows do not fit. */
const DEEPEST = 64;
/** Lanes of a workgroup, which its subgroups share out. */
const LANES = 64;
/** Smaller subgroups share too little of what they load. */
const LEAST_SUBGROUP = 8;

/**
 * The variants of a family that a device can run, the likeliest first. Two rows a lane halve the
 * shuffles of each, but take more registers than a GPU has: only where registers spill to a cache. The
 * gradient of LSH attention has twice the registers and gains nothing there, but compiles twice as long.
 * On a hardware GPU the gradients' registers spill: with subgroups they take twice as long as tiles (H200).
 */
export function variantsOf(
  family: Family,
  { D, E }: Shape,
  { subgroupSize, software }: DeviceTraits,
): Variant[] {
  const forward = family === 'attend/forward' || family === 'dense/forward';
  const tiles = forward ? TILES : GRADIENT_TILES;
  const fits = subgroupSize >= LEAST_SUBGROUP && LANES % subgroupSize === 0 && Math.max(D, E) <= DEEPEST;
  if (!fits) {
    return [...tiles];
  }
  const rows = software && family !== 'attend/backward' ? [2, 1] : [1, 2];
  const subgroups = rows.map((count) => ({ subgroup: true, rows: count }));
  return software || forward ? [...subgroups, ...tiles] : [...tiles, ...subgroups];
}

/** The variant of a family for a shape: the tuned one where the device can run it, else the likeliest. */
export function variantOf(family: Family, shape: Shape, device: DeviceTraits): Variant {
  const able = variantsOf(family, shape, device);
  const tuned = device.tuning?.[family];
  const same = able.find(
    ({ subgroup, rows, keys }) => subgroup === tuned?.subgroup && rows === tuned.rows && keys === tuned.keys,
  );
  return same ?? (able[0] as Variant);
}

/** The sizes of a tile in workgroup memory, as the kernels name them, and its queries. */
export function tileOf({ rows, keys = 0 }: Variant) {
  return { sizes: { ROWS: rows, KEY_VECTORS: keys / 32 }, queries: 8 * rows };
}
