import type { DeviceTraits, Variant } from '../webgpu/traits.js';
import type { Shape } from './settings.js';

/** Kernels that come in variants: each family does one thing in several ways. */
export const FAMILIES = ['attend/forward', 'attend/backward', 'dense/forward', 'dense/backward'] as const;
/** The name of one of them. */
export type Family = (typeof FAMILIES)[number];

/** Variants by family, as an autotuner found them. */
export type Tuning = Readonly<Partial<Record<Family, Variant>>>;

/** Shapes of tiles: smaller ones load more for each product, and hold less in registers. */
const WIDE: Variant = { subgroup: false, rows: 4, keys: 64 };
const SMALL: Variant = { subgroup: false, rows: 4, keys: 32 };
const FLAT: Variant = { subgroup: false, rows: 2, keys: 64 };

/** Subgroups hold whole rows in registers: deeper rows do not fit. */
const DEEPEST = 64;
/** Lanes of a workgroup, which its subgroups share out. */
const LANES = 64;
/** Lanes of a workgroup with queries of their own, where it works on tiles; its others have other keys. */
const TILE_LANES = 8;
/** Smaller subgroups share too little of what they load. */
const LEAST_SUBGROUP = 8;

/**
 * The variants of a family that a device can run, the likeliest first. Two rows a lane halve the
 * shuffles of each, but take more registers than a GPU has: only where registers spill to a cache. The
 * gradient of LSH attention has twice the registers and gains nothing there, but compiles twice as long.
 * On a hardware GPU the gradients' registers spill: with subgroups they take twice as long as tiles, whose shape is one.
 * There dense attention is faster by tiles too, and tiles of fewer keys are the faster ones (H200).
 */
export function variantsOf(
  family: Family,
  { D, E }: Shape,
  { subgroupSize, software }: DeviceTraits,
): Variant[] {
  const gradient = family === 'attend/backward' || family === 'dense/backward';
  const tiles = gradient ? [SMALL] : software ? [WIDE, SMALL, FLAT] : [SMALL, WIDE, FLAT];
  const fits = subgroupSize >= LEAST_SUBGROUP && LANES % subgroupSize === 0 && Math.max(D, E) <= DEEPEST;
  const rows = software && family !== 'attend/backward' ? [2, 1] : [1, 2];
  const subgroups = fits ? rows.map((count) => ({ subgroup: true, rows: count })) : [];
  return software || family === 'attend/forward' ? [...subgroups, ...tiles] : [...tiles, ...subgroups];
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

/** Queries of a workgroup. */
export function queriesOf({ subgroup, rows }: Variant): number {
  return rows * (subgroup ? LANES : TILE_LANES);
}

/** What a kernel of subgroups, or a forward kernel of tiles, is compiled with; `held` are the vec4 of a row in registers. */
export function sizesOf(
  { subgroup, rows, keys = 0 }: Variant,
  { D, E }: Pick<Shape, 'D' | 'E'>,
  { subgroupSize }: DeviceTraits,
  held = (depth: number) => depth / 4,
): Readonly<Record<string, number>> {
  return subgroup
    ? { ROWS: rows, SUBGROUP: subgroupSize, DEPTH_VECTORS: held(D), COLUMN_VECTORS: held(E) }
    : { ROWS: rows, KEY_VECTORS: keys / 32, COLUMN_VECTORS: vectors(E) };
}

/** vec4 a lane holds of `columns`, a power of two: each is a pipeline of its own, and takes seconds to compile. */
export function vectors(columns: number): number {
  return 2 ** Math.ceil(Math.log2(Math.ceil(columns / 32)));
}
