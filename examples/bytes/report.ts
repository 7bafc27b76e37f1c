/** What a run has come to, in lines and in a picture. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import * as Plot from '@observablehq/plot';
import { count, timeLeft } from '../output/numbers.js';
import { escaped, page } from '../output/page.js';
import { chart, curve, DARK, GREY, WARM } from '../training/charts.js';
import type { Progress } from '../training/loop.js';
import type { Baselines } from './entropy.js';
import type { Recipe } from './recipe.js';
import type { History } from './trainer.js';

/** A run that came to its end. */
export interface Result {
  readonly recipe: Recipe;
  readonly steps: number;
  /** Held-out bits per byte. */
  readonly bits: number;
}

/** A line of the table: what, bits per byte, a remark. */
type Line = readonly [string, number | undefined, string?];

export function named({ attention }: Pick<Recipe, 'attention'>): string {
  return attention === 'dense' ? 'exact attention' : `LSH-${attention}`;
}

/** One line of progress. */
export function progressLine(
  { step, loss, measured, stepsPerSecond, secondsLeft }: Progress,
  steps: number,
  { length, batch }: Recipe,
): string {
  return [
    `step ${String(step).padStart(String(steps).length)} of ${steps}`,
    `training ${loss.toFixed(3)} bits/byte`,
    `held out ${measured.toFixed(3)}`,
    `${count(Math.round(stepsPerSecond * length * batch))} tokens/s`,
    timeLeft(secondsLeft),
  ].join('   ');
}

export function writeResult(path: string, result: Result): void {
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}

/** The result of a run that differs from `now` in its attention alone. */
export function readResult(path: string, now: Result): Result | undefined {
  if (!existsSync(path)) {
    return undefined;
  }
  const other = JSON.parse(readFileSync(path, 'utf8')) as Result;
  const { attention } = other.recipe;
  const same = isDeepStrictEqual({ ...now.recipe, attention }, other.recipe);
  return same && other.steps === now.steps ? other : undefined;
}

/** The result beside what simpler models make of the same text. */
export function comparison(now: Result, other: Result | undefined, { orders, gzip }: Baselines): string {
  const isDense = now.recipe.attention === 'dense';
  const missing = `train it with: npm run train:bytes --${isDense ? '' : ' --dense'} --steps ${now.steps}`;
  const lines: Line[] = [
    [`this Reformer, ${named(now.recipe)}`, now.bits],
    other === undefined
      ? [isDense ? 'with LSH attention' : 'with exact attention', undefined, missing]
      : [`the same, ${named(other.recipe)}`, other.bits, 'after as many steps'],
    ...orders.map(({ learned, own }, order): Line => {
      const given = ['no byte before', 'the byte before', `the ${order} bytes before`][order];
      return [`given ${given}`, learned, `counted in the training text; ${own.toFixed(3)} in itself`];
    }),
    ['gzip -9', gzip],
  ];
  return lines
    .map(([name, bits, remark]) => {
      const value = bits === undefined ? '–' : bits.toFixed(3);
      return `  ${name.padEnd(30)}${value.padStart(6)}${remark === undefined ? '' : `   ${remark}`}`;
    })
    .join('\n');
}

/** Bits per byte by step. */
export function curvesPage(
  adapter: string,
  recipe: Recipe,
  { losses, heldOut }: History,
  { orders, gzip }: Baselines,
): string {
  const { length, layers, width, heads, hidden, chunkLength, batch } = recipe;
  const rules = [
    ...orders.map(({ learned }, n) => ({ y: learned, text: `order ${n}` })),
    { y: gzip, text: 'gzip' },
  ];
  const marks = [
    ...curve(losses),
    Plot.line(heldOut, { x: 'step', y: 'value', stroke: WARM, strokeWidth: 2, marker: 'dot' }),
    Plot.ruleY(rules, { y: 'y', stroke: GREY, strokeDasharray: '4 4' }),
    Plot.text(rules, {
      ...{ y: 'y', text: 'text', frameAnchor: 'right', textAnchor: 'end', dy: -6, fill: GREY },
    }),
  ];
  return page(
    'The next byte',
    `<p>A Reformer of ${layers} layers, local and <b>${named(recipe)}</b> by turns, reads the State of the Union speeches, ${count(length)} bytes
at a time, and is to say each next byte. ${count(losses.length)} steps of ${count(length * batch)} bytes; width ${width}, ${heads} ${heads === 1 ? 'head' : 'heads'}, feed-forward ${hidden}, chunks of
${chunkLength}, on <b>${escaped(adapter)}</b>, ${new Date().toISOString().slice(0, 10)}.</p>
<p class="legend"><span><i style="background:${DARK}"></i>training, the mean of neighbouring steps</span><span><i style="background:${WARM}"></i>held out</span></p>
<figure><figcaption>Bits per byte</figcaption>${chart('bits per byte', marks, { domain: [2, 6], clamp: true })}</figure>
<ul class="notes"><li>Dashed: the entropy of the held-out text given 0, 1 and 2 bytes before, by counts of the training text; gzip -9.</li></ul>`,
  );
}
