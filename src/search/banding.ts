/** How a signature is cut into bands: sets are candidates if all rows of any band agree. */
export interface Banding {
  /** Bands of a signature. */
  readonly bands: number;
  /** Positions of the signature in a band. */
  readonly rows: number;
}

/** Intervals of an integral; the curves are smooth. */
const INTERVALS = 128;

/** The probability that two sets of similarity s become candidates: 1 − (1 − s^rows)^bands. */
export function candidateProbability(s: number, { bands, rows }: Banding): number {
  return 1 - (1 - s ** rows) ** bands;
}

/**
 * The bands and rows of the least expected error, for pairs of which all similarities are equally likely: candidates below
 * the threshold, and, `missWeight` to 1 − `missWeight`, pairs above it that are no candidates. Of equals the fewest bands.
 */
export function chooseBanding(k: number, threshold: number, missWeight: number): Banding {
  let best: Banding = { bands: 1, rows: k };
  let least = Number.POSITIVE_INFINITY;
  for (let bands = 1; bands <= k; bands++) {
    for (let rows = 1; bands * rows <= k; rows++) {
      const banding = { bands, rows };
      const vain = integral((s) => candidateProbability(s, banding), 0, threshold);
      const missed = integral((s) => 1 - candidateProbability(s, banding), threshold, 1);
      const error = (1 - missWeight) * vain + missWeight * missed;
      if (error < least) {
        [best, least] = [banding, error];
      }
    }
  }
  return best;
}

/** By Simpson's rule. */
function integral(f: (x: number) => number, from: number, to: number): number {
  const width = (to - from) / INTERVALS;
  let sum = f(from) + f(to);
  for (let i = 1; i < INTERVALS; i++) {
    sum += (i % 2 === 1 ? 4 : 2) * f(from + i * width);
  }
  return (sum * width) / 3;
}
