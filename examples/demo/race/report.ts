/** The results of a race, to take along. */
import { bytes, count, seconds } from '../../output/numbers.js';
import type { Device } from '../page/messages.js';
import { CONTESTANTS, DEPTH, type Lap, type RaceSettings } from './settings.js';

export interface RaceResults {
  readonly device: Device;
  readonly settings: RaceSettings;
  readonly laps: readonly Lap[];
}

/** The laps by length: a cell for each contestant, empty where it did not run. */
export function rowsOf(laps: readonly Lap[]): string[][] {
  const lengths = [...new Set(laps.map(({ length }) => length))];
  return lengths.map((length) => [
    count(length),
    ...CONTESTANTS.map((who) => {
      const lap = laps.find((one) => one.length === length && one.who === who);
      return lap === undefined ? '' : `${seconds(lap.ms / 1000)}, ${bytes(lap.bytes)}`;
    }),
  ]);
}

export const HEAD = ['length', ...CONTESTANTS];

export function asMarkdown(results: RaceResults): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const { device, settings } = results;
  return [
    `${device.name} (${device.backend}): batch 1, ${settings.heads} heads, depth ${DEPTH}, ${settings.rounds} rounds`,
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rowsOf(results.laps).map(line),
    '',
  ].join('\n');
}

export function asJson({ device, settings, laps }: RaceResults): string {
  const { userAgent } = navigator;
  return JSON.stringify({ device, userAgent, depth: DEPTH, ...settings, laps }, null, 2);
}
