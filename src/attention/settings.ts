import type { Tensor } from '@tensorflow/tfjs-core';

/** The sizes of one attention, in the letters used everywhere. */
export interface Shape {
  /** Batch. */
  readonly B: number;
  /** Heads. */
  readonly H: number;
  /** Length. */
  readonly L: number;
  /** Key depth. */
  readonly D: number;
  /** Value depth. */
  readonly E: number;
}

/**
 * The shape that attend kernels work on: rows of whole vec4. Zeros appended to queries, keys and values
 * change nothing but the length of the rows.
 */
export function padded(shape: Shape): Shape {
  const whole = (depth: number) => Math.ceil(depth / 4) * 4;
  return { ...shape, D: whole(shape.D), E: whole(shape.E) };
}

/** How a round's hash divides the tokens. */
export interface BucketPlan {
  /** Buckets of a round: the product of the factors. */
  readonly N: number;
  /** The factors f of N, each even. */
  readonly factors: readonly number[];
  /** Columns of a round's rotation: Σf/2. */
  readonly F: number;
}

/** The options of a call, validated and filled in. */
export interface Settings extends BucketPlan {
  /** Hash rounds. */
  readonly R: number;
  /** Chunk length. */
  readonly C: number;
  /** Chunks seen before the own. */
  readonly P: number;
  /** Chunks seen after the own. */
  readonly A: number;
  /** Windows are buckets, not chunks. */
  readonly bucketWindow: boolean;
  /** No later token is seen. */
  readonly causal: boolean;
  /** A key seen in several rounds counts once. */
  readonly correct: boolean;
  /** Windows run on from round to round. */
  readonly wrap: boolean;
  /** Tokens of other buckets are seen. */
  readonly acrossBuckets: boolean;
  /** Factor of the logits. */
  readonly scale: number;
  /** What is added to a key's squared length before its root: D·1e-6. */
  readonly epsilon: number;
  /** Probability with which a weight is dropped. */
  readonly dropout: number;
  /** Of rotations and dropout. */
  readonly seed: number;
  /** Rows are read as 16-bit floats, where the device can. */
  readonly half: boolean;
  /** Rotations are chains of signs and Hadamard transforms, not matrices. */
  readonly hadamard: boolean;
  /** Heads of the rotation: H, or 1 when it is shared. */
  readonly rotationHeads: number;
  /** Bits of a bucket that are turned over, where N is a power of two: for hash families. */
  readonly flipped?: number;
  /** Some tokens are padding. */
  readonly masked: boolean;
  /** Whether the buckets are hashed by rotations: neither given, nor made by a family. */
  readonly hashed: boolean;
}

/**
 * The buckets of a round. Without factors, about two for every chunk, so that a bucket holds half a
 * chunk: N = 2^p, p = floor(log2(2·floor(L/C))); beyond 2·max(floor(sqrt(L/C)), C) they are factored
 * in two, since an unfactored hash costs D·N/2 a token (Hugging Face's rule).
 */
export function bucketPlan(
  given: readonly number[] | undefined,
  L: number,
  C: number,
  most: number,
): BucketPlan {
  const factors = given ?? defaultFactors(L, C, most);
  return {
    N: factors.reduce((product, f) => product * f, 1),
    factors,
    F: factors.reduce((sum, f) => sum + f / 2, 0),
  };
}

function defaultFactors(L: number, C: number, most: number): number[] {
  const p = Math.floor(Math.log2(Math.min(most, Math.max(2, 2 * Math.floor(L / C)))));
  const limit = 2 * Math.max(Math.floor(Math.sqrt(L / C)), C);
  return 2 ** p > limit ? [2 ** Math.floor(p / 2), 2 ** (p - Math.floor(p / 2))] : [2 ** p];
}

/** What is hashed, by the names of the plan's buffers. */
export interface HashInputs {
  readonly qk: Tensor;
  readonly mask?: Tensor;
  readonly rotations?: Tensor;
}

/** What attends, by the names of the plan's buffers. */
export interface AttentionInputs {
  readonly qk: Tensor;
  readonly v: Tensor;
  /** `[B, H, R, L]`: 0 … N−1, or N for padding, or −1−b for padding that is sorted as bucket b. */
  readonly buckets: Tensor;
}
