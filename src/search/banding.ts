/** How a signature is cut into bands: sets are candidates if all rows of any band agree. */
export interface Banding {
  /** Bands of a signature. */
  readonly bands: number;
  /** Positions of the signature in a band. */
  readonly rows: number;
}

/** Whether something read from a file cuts signatures of k positions. */
export function isBanding(value: unknown, k: number): value is Banding {
  const { bands = 0, rows = 0 } = (value ?? {}) as Partial<Banding>;
  return Number.isInteger(bands) && Number.isInteger(rows) && bands > 0 && rows > 0 && bands * rows <= k;
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
  return leastOf(bandings(k), (banding) => {
    const missed = integral((s) => 1 - candidateProbability(s, banding), threshold, 1);
    return (1 - missWeight) * inVain(banding, threshold) + missWeight * missed;
  }) as Banding;
}

/**
 * Of the bands and rows by which pairs at the threshold become candidates with at least that probability, those with the
 * fewest candidates below it; undefined if there are none.
 */
export function bandingOfRecall(k: number, threshold: number, targetRecall: number): Banding | undefined {
  const enough = bandings(k).filter((banding) => candidateProbability(threshold, banding) >= targetRecall);
  return leastOf(enough, (banding) => inVain(banding, threshold));
}

function bandings(k: number): Banding[] {
  return Array.from({ length: k }, (_, i) => i + 1).flatMap((bands) =>
    Array.from({ length: Math.floor(k / bands) }, (_, i) => ({ bands, rows: i + 1 })),
  );
}

function leastOf(bandings: readonly Banding[], cost: (banding: Banding) => number): Banding | undefined {
  let best: Banding | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const banding of bandings) {
    const own = cost(banding);
    if (own < least) {
      [best, least] = [banding, own];
    }
  }
  return best;
}

/** Pairs below the threshold that become candidates. */
function inVain(banding: Banding, threshold: number): number {
  return integral((s) => candidateProbability(s, banding), 0, threshold);
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
