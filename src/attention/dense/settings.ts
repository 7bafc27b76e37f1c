import type { Shape } from '../settings.js';

/** The sizes of an attention whose queries and keys may be sequences of two lengths: L is the queries'. */
export interface DenseShape extends Shape {
  /** Keys. */
  readonly Lk: number;
}

/** Elements of the mask between batches, heads and queries; 0 where all of them share it. */
export interface MaskStrides {
  readonly batch: number;
  readonly head: number;
  readonly query: number;
}

/** The options of an exact attention, validated and filled in. */
export interface DenseSettings {
  /** Query i sees the keys up to Lk − L + i alone. */
  readonly causal: boolean;
  /** Queries and keys are one sequence: none sees itself unless it sees nothing else, and padding sees nothing. */
  readonly sharedQk: boolean;
  readonly scale: number;
  /** Probability with which a weight is dropped. */
  readonly dropout: number;
  readonly seed: number;
  /** How the mask lies in memory, where there is one. */
  readonly mask?: MaskStrides;
}

/** The strides of a mask `[B or 1, H or 1, L or 1, Lk]`. */
export function maskStrides(shape: readonly number[]): MaskStrides {
  const [B, H, L, Lk] = shape as [number, number, number, number];
  return { batch: B > 1 ? H * L * Lk : 0, head: H > 1 ? L * Lk : 0, query: L > 1 ? Lk : 0 };
}
