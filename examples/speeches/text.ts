/** Results for people. */
import { bytes, percent, seconds, significant } from '../output/numbers.js';
import type { Result, Step } from './result.js';

/** A lower bound of a share. */
export function atLeast(share: number): string {
  return `at least ${Math.min(99, Math.floor(100 * share))} %`;
}

/** Beyond so many doublings dense's time is not guessed. */
const MOST_DOUBLINGS = 2;

/** How many times faster than dense: measured, or with “~” against dense's last time, fourfold per doubling. */
export function speedUp(result: Result, dense: Result | undefined): string {
  if (dense === undefined || result.length > dense.length * 2 ** MOST_DOUBLINGS) {
    return '';
  }
  const expected = dense.seconds * (result.length / dense.length) ** 2;
  return `${result.length === dense.length ? '' : '~'}${significant(expected / result.seconds)}×`;
}

export const COLUMNS = ['method', 'time', 'speed-up', 'right', 'error', 'mass seen', 'peak GPU'] as const;
const WIDTHS = [8, 10, 10, 9, 11, 11, 11];

/** A row of the table, in the order of {@link COLUMNS}. */
export function cells(result: Result, dense: Result | undefined): string[] {
  return [
    result.method,
    seconds(result.seconds),
    speedUp(result, dense),
    percent(result.right),
    result.error < 1e-3 ? result.error.toExponential(0) : result.error.toFixed(3),
    percent(result.seen),
    bytes(result.peakBytes),
  ];
}

/** A row for a length that dense attention was too slow for: exact attention answers the questions all the same. */
export function exactCells({ exactRight }: Step): string[] {
  return ['(dense)', 'not run', '', percent(exactRight), '', '', ''];
}

export function hasDense({ results }: Step): boolean {
  return results.some(({ method }) => method === 'dense');
}

export function aligned(row: readonly string[]): string {
  return row
    .map((cell, n) => (n === 0 ? cell.padEnd(WIDTHS[n] as number) : cell.padStart(WIDTHS[n] as number)))
    .join('');
}
