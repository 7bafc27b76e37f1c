/** Curves of a training run. */
import * as Plot from '@observablehq/plot';
import { drawn } from '../output/page.js';

/** A value at a step. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

export const [DARK, LIGHT, GREY, WARM] = ['#2f6fb0', '#b9d3ea', '#98a1ab', '#c8553d'];

/** Points that a line of the running mean has, about. */
const RESOLUTION = 100;

/** The values of all steps, lightly, and the means of neighbouring ones. */
export function curve(values: readonly number[]): Plot.Markish[] {
  const each = values.map((value, n): Point => ({ step: n + 1, value }));
  return [
    Plot.line(each, { x: 'step', y: 'value', stroke: LIGHT, strokeWidth: 1 }),
    Plot.line(means(values), { x: 'step', y: 'value', stroke: DARK, strokeWidth: 2 }),
  ];
}

/** The means of runs of neighbouring values. */
function means(values: readonly number[]): Point[] {
  const span = Math.max(1, Math.round(values.length / RESOLUTION));
  return Array.from({ length: Math.floor(values.length / span) }, (_, n) => ({
    step: (n + 0.5) * span + 0.5,
    value: values.slice(n * span, (n + 1) * span).reduce((sum, value) => sum + value, 0) / span,
  }));
}

export function chart(label: string, marks: Plot.Markish[], y: Plot.ScaleOptions = { zero: true }): string {
  return drawn({
    width: 520,
    height: 320,
    marginLeft: 48,
    x: { label: 'step' },
    y: { grid: true, label: null, ariaLabel: label, ...y } as Plot.ScaleOptions,
    marks,
  });
}
