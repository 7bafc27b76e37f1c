/** Repeated measurements, and what follows from them. Pure. */

/** The spread of repeated measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

/** @throws RangeError where there is nothing to tell of. */
export function spread(samples: readonly number[]): Spread {
  if (samples.length === 0) {
    throw new RangeError('spread: there must be at least one sample, got none.');
  }
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)] as number, sorted[Math.ceil(middle)] as number];
  return {
    median: (low + high) / 2,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    n: sorted.length,
  };
}

/** A run that takes longer than this, in milliseconds, is not repeated as often. */
const LONG_RUN = 5000;
const LONG_RUNS = 2;

/** How often something is timed whose first run took so long. */
export function repetitions(milliseconds: number, runs: number): number {
  return milliseconds > LONG_RUN ? Math.min(runs, LONG_RUNS) : runs;
}

/** A time at a length. */
export interface Measured {
  readonly L: number;
  readonly milliseconds: number;
}

/** The time at length L, from that at the greatest length measured: growing by L^power. */
export function extrapolated(measured: readonly Measured[], L: number, power: number): number | undefined {
  const known = measured
    .filter((one) => one.L <= L)
    .sort((a, b) => a.L - b.L)
    .at(-1);
  return known && known.milliseconds * (L / known.L) ** power;
}
