import { expect } from 'vitest';
import type { Numbers } from './oracle/shape.js';

/** The largest absolute difference; not finite where either side is not a number. */
export function largestError(actual: Numbers, expected: Numbers): number {
  let largest = actual.length === expected.length ? 0 : Number.NaN;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    if (!(error <= largest)) {
      largest = error;
    }
    if (Number.isNaN(largest)) {
      return largest;
    }
  }
  return largest;
}

/** The largest magnitude. */
export function largestOf(values: Numbers): number {
  return Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

/** Below this part of the results' size an error is not looked at. */
const FLOOR = 1e-6;

/**
 * Checks results against float64, by the measure of the naive float32 formula on the same input: an
 * error is at most `times` its largest. `size` is that of the numbers which the results are sums of.
 */
export function expectAsExactAsFloat32(
  actual: Numbers,
  exact: Numbers,
  naive: Numbers,
  what: string,
  times = 2,
  size = largestOf(exact),
): void {
  const most = times * largestError(naive, exact) + FLOOR * size;
  expect(largestError(actual, exact), `error of ${what}`).toBeLessThanOrEqual(most);
}
