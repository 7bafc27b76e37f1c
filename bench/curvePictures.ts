/** The curves of curves.ts as pictures: readable on light and on dark pages. */
import * as Plot from '@observablehq/plot';
import { count } from '../examples/output/numbers.js';
import { drawn } from '../examples/output/page.js';

/** One setting, measured. */
export interface Point {
  readonly L: number;
  readonly R: number;
  readonly C: number;
  readonly window: 'chunk' | 'bucket';
  /** Keys that a query is compared with, all rounds together, on average. */
  readonly keys: number;
  /** Share of dense attention's mass on the keys that were seen. */
  readonly seen: number;
  /** Mean distance from dense attention's output; values have length 1. */
  readonly error: number;
}

const COLOURS = ['#8fb8dc', '#5b97cf', '#3a78b8', '#8a6cc9', '#c05a9a'];
const WARM = '#d07a2d';
const GREY = '#8b939c';
const SIZE = { width: 420, height: 290, marginLeft: 48, marginRight: 20, marginTop: 34, marginBottom: 40 };
const LEGEND_HEIGHT = 28;
const SHARE = {
  domain: [0, 1],
  grid: true,
  tickFormat: (share: number) => `${Math.round(100 * share)} %`,
  label: 'dense mass seen',
};
const ERROR = { domain: [0, 1], grid: true, label: 'error' };

/** Mass seen and error by rounds, a line for each chunk length. */
export function drawRounds(points: readonly Point[]): string {
  const x = { type: 'log', base: 2, label: 'rounds R', ticks: distinct(points, 'R') } as const;
  return beside(
    [chart({ x, y: SHARE }, points, 'R', 'seen', 'C'), chart({ x, y: ERROR }, points, 'R', 'error', 'C')],
    legendOf(points, 'C'),
  );
}

/** The same by the keys that a query is compared with, which is what a call costs. */
export function drawKeys(points: readonly Point[], L: number): string {
  const chunked = points.filter(({ window }) => window === 'chunk');
  const bucketed = points.filter(({ window }) => window === 'bucket');
  const x = { type: 'log', base: 2, label: 'keys compared, all rounds', tickFormat: count } as const;
  const bucket = (y: 'seen' | 'error') => [
    Plot.line(bucketed, { x: 'keys', y, stroke: WARM, strokeWidth: 2 }),
    Plot.dot(bucketed, { x: 'keys', y, fill: WARM, r: 3 }),
  ];
  const chance = Plot.line(
    distinct(chunked, 'keys').filter((keys) => keys <= L),
    { x: (keys) => keys, y: (keys) => keys / L, stroke: GREY, strokeDasharray: '4 4' },
  );
  return beside(
    [
      chart({ x, y: SHARE }, chunked, 'keys', 'seen', 'C', [chance, ...bucket('seen')]),
      chart({ x, y: ERROR }, chunked, 'keys', 'error', 'C', bucket('error')),
    ],
    [...legendOf(chunked, 'C'), ['whole buckets', WARM], ['keys at random', GREY]],
  );
}

/** The same by length, a line for each number of rounds. */
export function drawLengths(points: readonly Point[]): string {
  const ticks = distinct(points, 'L');
  const x = { type: 'log', base: 2, label: 'length L', ticks, tickFormat: count } as const;
  return beside(
    [chart({ x, y: SHARE }, points, 'L', 'seen', 'R'), chart({ x, y: ERROR }, points, 'L', 'error', 'R')],
    legendOf(points, 'R'),
  );
}

type Letter = 'R' | 'C' | 'L' | 'keys';

/** A line for each value of `line`. */
function chart(
  scales: Pick<Plot.PlotOptions, 'x' | 'y'>,
  points: readonly Point[],
  x: Letter,
  y: 'seen' | 'error',
  line: Letter,
  more: Plot.Markish[] = [],
): string {
  return drawn({
    ...SIZE,
    ...scales,
    color: { type: 'ordinal', domain: distinct(points, line), range: COLOURS },
    marks: [
      Plot.line(points, { x, y, z: line, stroke: line, strokeWidth: 2 }),
      Plot.dot(points, { x, y, fill: line, r: 3 }),
      ...more,
    ],
  });
}

function distinct(points: readonly Point[], letter: Letter): number[] {
  return [...new Set(points.map((point) => point[letter]))].sort((a, b) => a - b);
}

/** A name and its colour. */
type Named = readonly [string, string];

function legendOf(points: readonly Point[], line: Letter): Named[] {
  return distinct(points, line).map((value, i) => [`${line} = ${value}`, COLOURS[i] as string]);
}

/** Charts in a row under their legend, as one picture that follows the page's colours. */
function beside(charts: readonly string[], legend: readonly Named[]): string {
  const { width, height } = SIZE;
  const placed = charts.map((svg, i) => `<g transform="translate(${i * width} ${LEGEND_HEIGHT})">${svg}</g>`);
  const names = legend.map(([name, colour]) => `<tspan dx="14" fill="${colour}">●</tspan> ${name}`);
  const [wide, high] = [width * charts.length, height + LEGEND_HEIGHT];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}">
<style>svg { color: #1d2126; font: 12px system-ui, sans-serif; } @media (prefers-color-scheme: dark) { svg { color: #e4e7ea; } }</style>
<text x="-2" y="18" fill="currentColor">${names.join('')}</text>
${placed.join('\n')}
</svg>
`;
}
