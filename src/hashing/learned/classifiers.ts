/** Step B of Graph Regularised Hashing: for each bit a linear classifier that tells it from the point. */
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import { solveByDualCoordinates } from './dualCoordinateDescent.js';
import { LOGISTIC, SQUARED_HINGE, solveByNewton } from './newton.js';
import type { LearnHashSettings } from './options.js';
import { learnPassiveAggressively } from './passiveAggressive.js';

/** Points, row after row. */
export interface Points {
  /** `[n, D]` */
  readonly x: Float32Array;
  readonly n: number;
  readonly D: number;
}

/** Part of the gradient at zero that may be left: signs hardly change from there. */
const NEWTON_TOLERANCE = 1e-3;
const DUAL_TOLERANCE = 0.1;

/** Weights `[D, M]` from bits `[n, M]` of ±1. */
export async function fitClassifiers(
  points: Points,
  bits: Float32Array,
  settings: LearnHashSettings,
  door: Door,
): Promise<Float32Array> {
  const { loss, solver, cost: C, seed } = settings;
  if (loss === 'logistic' || (loss === 'squaredHinge' && solver === 'newton')) {
    return await fitTogether(points, bits, settings, door);
  }
  const { x, n, D } = points;
  const M = bits.length / n;
  const weights = new Float32Array(D * M);
  for (let column = 0; column < M; column++) {
    const y = Float32Array.from({ length: n }, (_, i) => bits[i * M + column] as number);
    const w =
      loss === 'passiveAggressive'
        ? learnPassiveAggressively({ x, D, y, C }, seed)
        : solveByDualCoordinates({ x, D, y, C, loss }, DUAL_TOLERANCE, seed);
    for (let d = 0; d < D; d++) {
      weights[d * M + column] = w[d] as number;
    }
  }
  return weights;
}

async function fitTogether(
  { x, n, D }: Points,
  bits: Float32Array,
  { loss, cost: C }: LearnHashSettings,
  door: Door,
): Promise<Float32Array> {
  const M = bits.length / n;
  const points = tf.tensor2d(x, [n, D]);
  const inputs = { x: points, xTransposed: tf.transpose(points), y: tf.tensor2d(bits, [n, M]) };
  const start = tf.zeros([D, M]);
  try {
    const smooth = loss === 'logistic' ? LOGISTIC : SQUARED_HINGE;
    const weights = await solveByNewton({ ...inputs, C, loss: smooth }, start, NEWTON_TOLERANCE, door);
    try {
      return (await door.values(weights)) as Float32Array;
    } finally {
      weights.dispose();
    }
  } finally {
    tf.dispose([inputs, start]);
  }
}

/** The bits `[n, M]` of ±1 that weights `[D, M]` give to points: +1 where x·w ≥ 0. */
export function predictBits({ x, n, D }: Points, weights: Float32Array): Float32Array<ArrayBuffer> {
  const M = weights.length / D;
  const bits = new Float32Array(n * M);
  const sums = new Float64Array(M);
  for (let i = 0; i < n; i++) {
    sums.fill(0);
    for (let d = 0; d < D; d++) {
      const value = x[i * D + d] as number;
      for (let j = 0; j < M; j++) {
        sums[j] = (sums[j] as number) + value * (weights[d * M + j] as number);
      }
    }
    bits.set(
      sums.map((sum) => (sum >= 0 ? 1 : -1)),
      i * M,
    );
  }
  return bits;
}
