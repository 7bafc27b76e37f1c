import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Settings, Shape } from '../settings.js';

/** New tokens, checked and hashed. */
export interface NewTokens {
  /** L is the number of new tokens. */
  readonly shape: Shape;
  readonly settings: Settings;
  /** `[B, H, L, D]` */
  readonly qk: Tensor;
  /** `[B, H, L, E]` */
  readonly v: Tensor;
  /** `[B, H, R, L]`, N for padding. */
  readonly buckets: Tensor;
}

/** The tokens that a cache holds, as a backend keeps them. What throws leaves them as they were. */
export interface CacheState {
  /** Takes new tokens in; `[out, lse]` of them where `attends`, of shapes `[B, H, L, E]` and `[B, H, L]`, else none. */
  append(tokens: NewTokens, attends: boolean): Tensor[];
  /** Batch entry b becomes the present entry indices[b]. */
  reorder(indices: Tensor1D): void;
  dispose(): void;
}
