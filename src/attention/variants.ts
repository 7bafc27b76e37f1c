import type { DeviceTraits } from '../webgpu/traits.js';
import type { Shape } from './settings.js';

/** Kernels that come in variants: each family does one thing in several ways. */
export const FAMILIES = ['attend/forward', 'attend/backward', 'dense/forward', 'dense/backward'] as const;
export type Family = (typeof FAMILIES)[number];

/** One way. Results differ by rounding alone. */
export interface Variant {
  /** Rows in lanes, keys by subgroup shuffles; else tiles in workgroup memory, which every device can do. */
  readonly subgroup: boolean;
  /** Rows that a lane of the subgroup variant owns. */
  readonly rows: number;
}

/** Variants by family, as an autotuner found them. */
export type Tuning = Readonly<Partial<Record<Family, Variant>>>;

const PLAIN: Variant = { subgroup: false, rows: 1 };

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
 */
export function variantsOf(
  family: Family,
  { D, E }: Shape,
  { subgroupSize, software }: DeviceTraits,
): Variant[] {
  const fits = subgroupSize >= LEAST_SUBGROUP && LANES % subgroupSize === 0 && Math.max(D, E) <= DEEPEST;
  if (!fits) {
    return [PLAIN];
  }
  const rows = software && family !== 'attend/backward' ? [2, 1] : [1, 2];
  return [...rows.map((count) => ({ subgroup: true, rows: count })), PLAIN];
}

/** The variant of a family for a shape: the tuned one where the device can run it, else the likeliest. */
export function variantOf(family: Family, shape: Shape, device: DeviceTraits): Variant {
  const able = variantsOf(family, shape, device);
  const tuned = device.tuning?.[family];
  const same = able.find(({ subgroup, rows }) => subgroup === tuned?.subgroup && rows === tuned.rows);
  return same ?? (able[0] as Variant);
}
