/** Linear classifiers for all bits at once: they share the points, so that every step is two products of matrices. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';

/** A loss of the margin z = y·w·x: smooth, so that Newton's method applies. */
export interface SmoothLoss {
  /** Summed over points, `[M]`. */
  readonly value: (z: Tensor) => Tensor;
  /** −dl/dz. */
  readonly pull: (z: Tensor) => Tensor;
  /** d²l/dz². */
  readonly curvature: (z: Tensor) => Tensor;
}

export const SQUARED_HINGE: SmoothLoss = {
  value: (z) => tf.sum(tf.square(tf.relu(tf.sub(1, z))), 0),
  pull: (z) => tf.mul(2, tf.relu(tf.sub(1, z))),
  curvature: (z) => tf.mul(2, tf.cast(tf.less(z, 1), 'float32')),
};

export const LOGISTIC: SmoothLoss = {
  value: (z) => tf.sum(tf.softplus(tf.neg(z)), 0),
  pull: (z) => tf.sigmoid(tf.neg(z)),
  curvature: (z) => tf.mul(tf.sigmoid(z), tf.sigmoid(tf.neg(z))),
};

/** What is minimised: ½|w|² + C·Σ loss(y·w·x), for each of the M columns of y. */
export interface Problem {
  /** `[n, D]` */
  readonly x: Tensor;
  /** The same as `[D, n]`: some backends are slow where they must transpose in a product. */
  readonly xTransposed: Tensor;
  /** `[n, M]`, ±1. */
  readonly y: Tensor;
  readonly C: number;
  readonly loss: SmoothLoss;
}

const MOST_STEPS = 50;
/** Steps of conjugate gradients towards one of Newton's: eigenvalues of points fall fast, and few matter. */
const INNER_STEPS = 12;
/** Lengths of step that are tried; the best of them is taken for each column. */
const LENGTHS = [1, 0.5, 0.25, 0.125, 1 / 16, 1 / 32, 1 / 64];

/**
 * Weights `[D, M]`, by Newton's method with conjugate gradients (Keerthi and DeCoste 2005), from `start`. Done when
 * every gradient is `tolerance` times as long as at zero, or no longer grows shorter; the caller's to dispose.
 */
export async function solveByNewton(
  problem: Problem,
  start: Tensor,
  tolerance: number,
  door: Door,
): Promise<Tensor> {
  let w = tf.clone(start);
  let before = Number.POSITIVE_INFINITY;
  for (let step = 0; step < MOST_STEPS; step++) {
    const [next, length] = tf.tidy(() => newtonStep(problem, w));
    w.dispose();
    w = next;
    const worst = await lengthOf(length, w, door);
    if (worst <= tolerance || (worst < 1e-4 && worst > 0.5 * before)) {
      break;
    }
    before = worst;
  }
  return w;
}

/** A number of the GPU; the weights are given up where it cannot be had. */
async function lengthOf(length: Tensor, w: Tensor, door: Door): Promise<number> {
  try {
    return (await door.values(length))[0] as number;
  } catch (error) {
    w.dispose();
    throw error;
  } finally {
    length.dispose();
  }
}

/** The weights after a step, and the longest gradient before it, as part of its length at zero. */
function newtonStep({ x, xTransposed, y, C, loss }: Problem, w: Tensor): [Tensor, Tensor] {
  const z = tf.mul(y, tf.matMul(x, w));
  const pulled = (pull: Tensor) => tf.matMul(xTransposed, tf.mul(C, tf.mul(y, pull)));
  const descent = tf.sub(pulled(loss.pull(z)), w);
  const atZero = pulled(loss.pull(tf.zerosLike(z)));
  const worst = tf.max(tf.div(norms(descent), tf.maximum(norms(atZero), 1e-30)));

  const curvature = tf.mul(C, loss.curvature(z));
  const hessian = (v: Tensor) => tf.add(v, tf.matMul(xTransposed, tf.mul(curvature, tf.matMul(x, v))));
  const direction = conjugateGradients(hessian, descent);
  const along = tf.mul(y, tf.matMul(x, direction));
  const values = LENGTHS.map((length) => {
    const moved = tf.add(w, tf.mul(length, direction));
    return tf.add(
      tf.mul(0.5, tf.sum(tf.square(moved), 0)),
      tf.mul(C, loss.value(tf.add(z, tf.mul(length, along)))),
    );
  });
  const best = tf.gather(tf.tensor1d(LENGTHS), tf.argMin(tf.stack(values), 0));
  return [tf.add(w, tf.mul(best, direction)), worst];
}

/** Solves hessian·p = target, each column for itself. */
function conjugateGradients(hessian: (v: Tensor) => Tensor, target: Tensor): Tensor {
  let p = tf.zerosLike(target);
  let rest = target;
  let search = target;
  let size = tf.sum(tf.square(rest), 0);
  for (let i = 0; i < INNER_STEPS; i++) {
    const turned = hessian(search);
    // A column that is solved has nothing left to search for: 0 / tiny.
    const length = tf.div(size, tf.maximum(tf.sum(tf.mul(search, turned), 0), 1e-30));
    p = tf.add(p, tf.mul(length, search));
    rest = tf.sub(rest, tf.mul(length, turned));
    const left = tf.sum(tf.square(rest), 0);
    search = tf.add(rest, tf.mul(tf.div(left, tf.maximum(size, 1e-30)), search));
    size = left;
  }
  return p;
}

/** The length of each column. */
function norms(matrix: Tensor): Tensor {
  return tf.sqrt(tf.sum(tf.square(matrix), 0));
}
