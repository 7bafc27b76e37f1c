/** Sizes, in the letters of the contract. */
export interface Letters {
  readonly B: number;
  readonly H: number;
  readonly L: number;
  readonly D: number;
  readonly E: number;
}

export type Numbers = ArrayLike<number>;

/** What every arithmetic operation of an oracle goes through. */
export type Rounding = (x: number) => number;

/** Float64: nothing is rounded. */
export const exactly: Rounding = (x) => x;

/** The naive float32 formula: every operation is rounded. It measures what float32 can give. */
export const toFloat32: Rounding = Math.fround;

/** An element, for loops that know their bounds. */
export function at(values: Numbers, i: number): number {
  const value = values[i];
  if (value === undefined) {
    throw new RangeError(`no element ${i} among ${values.length}`);
  }
  return value;
}
