import * as tf from '@tensorflow/tfjs-core';
import { Door, show } from '../../door.js';
import type { Rows, VectorFamily } from '../family.js';
import { normalFromWord, philox } from '../random.js';
import { fitClassifiers, type Points, predictBits } from './classifiers.js';
import { learnedFamily, unitRow } from './learnedFamily.js';
import { checkedSettings, type LearnHashOptions, type LearnHashSettings } from './options.js';
import { classesOf, equalColumns, refineBits } from './refine.js';

/** Names the random stream of the first hyperplanes. */
const STREAM = 0x6c7264;
/** How often a bit may be drawn again that all points share. */
const MOST_DRAWS = 32;

/**
 * Learns a family of hash functions from labelled vectors, by Graph Regularised Hashing (Moran and Lavrenko, ECIR
 * 2015): the bits of random hyperplanes are moved towards those of points with the same label, hyperplanes are
 * fitted to the bits, and again. Vectors are taken at unit length, and centred.
 *
 * The family is an index's or the attention's as any other; it hashes vectors that it has not seen. With the default
 * loss and the same solver, the same rows, labels and seed give the same hyperplanes.
 *
 * @param rows `[n, D]`, row after row, finite; borrowed.
 * @param labels of the n rows, numbers: points of equal labels should get equal codes. At least two different ones.
 * @throws RangeError or TypeError for an argument or option that is not allowed; Error if a bit stays the same for all points.
 */
export async function learnHash(
  rows: Rows,
  labels: ArrayLike<number>,
  options: LearnHashOptions = {},
): Promise<VectorFamily> {
  const door = new Door('learnHash');
  const n = checkedLabels(rows, labels, door);
  const D = rows.length / n;
  const settings = checkedSettings(options, tf.getBackend(), D, door);
  const { bits, tables, alpha, iterations, rule } = settings;
  const { points, mean } = pointsOf(rows, { n, D }, settings, door);
  const classes = classesOf(labels);
  if (classes.sizes.length < 2) {
    throw door.range(
      '`labels` must hold at least two different ones, got one. Use hyperplanes(…) without labels.',
    );
  }
  if (alpha <= 0.5 && iterations > 0) {
    console.warn(
      `learnHash: with \`alpha\` ${alpha} the labels cannot change a bit, only fitted hyperplanes come out. Use more than 0.5.`,
    );
  }
  const draws = new Int32Array(tables * bits);
  let weights = drawPlanes(points.D, draws, settings);
  let first = predictBits(points, weights);
  let latest = first;
  for (let iteration = 0; iteration < iterations; iteration++) {
    let refined = refineBits(latest, first, classes, alpha, rule);
    for (let equal = equalColumns(refined, draws.length); equal.length > 0; ) {
      [first, latest] = redraw(equal, draws, points, { first, latest }, settings, door);
      refined = refineBits(latest, first, classes, alpha, rule);
      equal = equalColumns(refined, draws.length);
    }
    weights = await fitClassifiers(points, refined, settings, door);
    if (!weights.every(Number.isFinite)) {
      throw door.range(
        `\`cost\` must leave hyperplanes within float32, got ${settings.cost}, with which they grow beyond it. Try 1.`,
      );
    }
    latest = predictBits(points, weights);
  }
  return learnedFamily({ bits, tables, D }, affine(weights, mean, points.D));
}

function checkedLabels(rows: Rows, labels: ArrayLike<number>, door: Door): number {
  if (!(rows instanceof Float32Array || rows instanceof Float64Array)) {
    throw door.kind(
      '`rows` must be a Float32Array or Float64Array of n·D numbers. Try Float32Array.from(rows).',
    );
  }
  const n = door.list('labels', labels).length;
  if (n < 2 || rows.length === 0 || rows.length % n !== 0) {
    throw door.range(
      `\`labels\` must hold one number for each of at least two rows, got ${n} beside ${rows.length} numbers in \`rows\`.`,
    );
  }
  const strange = Array.from(labels).findIndex((label) => typeof label !== 'number' || Number.isNaN(label));
  if (strange >= 0) {
    throw door.range(`\`labels\` must be numbers, got ${show(labels[strange])} for row ${strange}.`);
  }
  return n;
}

/** The points that hyperplanes are fitted to: unit length, less their mean, and 1 where there is a bias. */
function pointsOf(
  rows: Rows,
  { n, D }: { readonly n: number; readonly D: number },
  { bias }: LearnHashSettings,
  door: Door,
): { readonly points: Points; readonly mean: Float64Array } {
  const width = D + Number(bias);
  const x = new Float32Array(n * width).fill(1);
  const mean = new Float64Array(D);
  const unit = new Float64Array(D);
  for (let i = 0; i < n; i++) {
    if (!unitRow(rows, i, unit)) {
      throw door.range(`\`rows\` must be finite, got a number in row ${i} that is not.`);
    }
    x.set(unit, i * width);
    unit.forEach((value, d) => {
      mean[d] = (mean[d] as number) + value / n;
    });
  }
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < D; d++) {
      x[i * width + d] = (x[i * width + d] as number) - (mean[d] as number);
    }
  }
  return { points: { x, n, D: width }, mean };
}

/** First hyperplanes `[width, M]` through the mean; `draws` says which draw each of the M is, 0 being the caller's where there are any. */
function drawPlanes(width: number, draws: Int32Array, settings: LearnHashSettings): Float32Array {
  const { seed, bias, planes } = settings;
  const M = draws.length;
  const D = width - Number(bias);
  const weights = new Float32Array(width * M);
  for (const [column, drawn] of draws.entries()) {
    for (let d = 0; d < D; d++) {
      const words = philox([d >>> 2, column, drawn, 0], [seed, STREAM]);
      const given = drawn === 0 ? planes?.[column * D + d] : undefined;
      weights[d * M + column] = given ?? normalFromWord(words[d & 3] as number);
    }
  }
  return weights;
}

/** Takes the next draw for columns that tell nothing, in the first bits and in the latest. */
function redraw(
  columns: readonly number[],
  draws: Int32Array,
  points: Points,
  { first, latest }: { readonly first: Float32Array; readonly latest: Float32Array },
  settings: LearnHashSettings,
  door: Door,
): [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>] {
  for (const column of columns) {
    draws[column] = (draws[column] as number) + 1;
    if ((draws[column] as number) >= MOST_DRAWS) {
      throw door.failure(
        `bit ${column} is the same for all points after ${MOST_DRAWS} draws. Lower \`alpha\`, or give classes of more equal size.`,
      );
    }
  }
  const drawn = predictBits(points, drawPlanes(points.D, draws, settings));
  const replaced = (bits: Float32Array) =>
    bits.map((bit, i) => (columns.includes(i % draws.length) ? (drawn[i] as number) : bit));
  return [replaced(first), replaced(latest)];
}

/** Hyperplanes `[M, D+1]` for vectors of unit length with a 1 behind: the mean and the bias become one number. */
function affine(weights: Float32Array, mean: Float64Array, width: number): Float64Array {
  const D = mean.length;
  const M = weights.length / width;
  const planes = new Float64Array(M * (D + 1));
  for (let column = 0; column < M; column++) {
    let offset = width > D ? (weights[D * M + column] as number) : 0;
    for (let d = 0; d < D; d++) {
      const weight = weights[d * M + column] as number;
      planes[column * (D + 1) + d] = weight;
      offset -= weight * (mean[d] as number);
    }
    planes[column * (D + 1) + D] = offset;
  }
  return planes;
}
