import { type Door, show } from '../../door.js';
import type { Rows } from '../family.js';
import type { MixingRule } from './refine.js';

/** Options of {@link learnHash}. */
export interface LearnHashOptions {
  /** Bits of a code, each a hyperplane: an integer from 1 to 32. @default 16 */
  readonly bits?: number;
  /** Hash functions, each learned from hyperplanes of its own: an integer from 1 up. @default 1 */
  readonly tables?: number;
  /** α, the weight of the labels: a number from 0 to 1. At 0.5 and below no bit changes. @default 0.75 */
  readonly alpha?: number;
  /** How often bits are refined and hyperplanes fitted; 0 leaves random hyperplanes. @default 2 */
  readonly iterations?: number;
  /** C, the weight of a point's loss beside ½|w|²: a number above 0. @default 1 */
  readonly cost?: number;
  /**
   * What a hyperplane pays for a point on its wrong side, or close to it. `'squaredHinge'` and `'logistic'` are solved for
   * all bits at once, `'hinge'` bit by bit, `'passiveAggressive'` in five passes over the points.
   * @default 'squaredHinge'
   */
  readonly loss?: 'squaredHinge' | 'hinge' | 'logistic' | 'passiveAggressive';
  /**
   * How `'squaredHinge'` is solved: for all bits at once by Newton's method on tfjs, or bit by bit by descent in the dual's
   * coordinates. @default 'newton', and 'dual' on tfjs's cpu backend, whose products of matrices are slow
   */
  readonly solver?: 'newton' | 'dual';
  /** How labels and bits are mixed. `'tutorial'` takes signs before. @default 'paper' */
  readonly rule?: MixingRule;
  /** Whether hyperplanes may lie off the points' mean. @default true */
  readonly bias?: boolean;
  /** Of the first hyperplanes and of orders: an integer from 0 to 2^32 − 1. @default 0 */
  readonly seed?: number;
  /** First hyperplanes of your own through the points' mean, `[tables·bits, D]` row after row, in place of a draw. */
  readonly planes?: Rows;
}

const NAMES: Record<keyof LearnHashOptions, true> = {
  ...{ bits: true, tables: true, alpha: true, iterations: true, cost: true },
  ...{ loss: true, solver: true, rule: true, bias: true, seed: true, planes: true },
};

/** Options filled in and checked. */
export type LearnHashSettings = Required<Omit<LearnHashOptions, 'planes'>> & Pick<LearnHashOptions, 'planes'>;

export function checkedSettings(
  options: LearnHashOptions,
  backend: string,
  D: number,
  door: Door,
): LearnHashSettings {
  door.known(options, NAMES);
  const { alpha = 0.75, cost = 1, planes } = options;
  if (!(typeof alpha === 'number' && alpha >= 0 && alpha <= 1)) {
    throw door.range(`\`alpha\` must be a number from 0 to 1, got ${show(alpha)}. Try 0.75.`);
  }
  if (!(typeof cost === 'number' && cost > 0 && cost < Number.POSITIVE_INFINITY)) {
    throw door.range(`\`cost\` must be a finite number above 0, got ${show(cost)}. Try 1.`);
  }
  const losses = ['squaredHinge', 'hinge', 'logistic', 'passiveAggressive'] as const;
  const solver = backend === 'cpu' ? 'dual' : 'newton';
  const bits = door.integer('bits', options.bits ?? 16, 1, 32);
  const tables = door.integer('tables', options.tables ?? 1, 1, 4096);
  if (planes !== undefined && planes.length !== tables * bits * D) {
    throw door.range(
      `\`planes\` must have tables·bits·D = ${tables}·${bits}·${D} = ${tables * bits * D} numbers, got ${planes.length}.`,
    );
  }
  return {
    ...{ alpha, cost, bits, tables, ...(planes && { planes }) },
    iterations: door.integer('iterations', options.iterations ?? 2, 0, 100),
    loss: door.oneOf('loss', options.loss ?? 'squaredHinge', losses),
    solver: door.oneOf('solver', options.solver ?? solver, ['newton', 'dual']),
    rule: door.oneOf('rule', options.rule ?? 'paper', ['paper', 'tutorial']),
    bias: door.flag('bias', options.bias ?? true),
    seed: door.integer('seed', options.seed ?? 0, 0, 2 ** 32 - 1),
  };
}
