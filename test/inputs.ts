import type { Letters } from './oracle/shape.js';

/** Uniform numbers in (0, 1) from a seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

/** Normal numbers; every 61st is five times as large, so that errors have something to show on. */
export function normals(count: number, seed: number, outliers = true): Float32Array {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return outliers && i % 61 === 60 ? 5 * x : x;
  });
}

/** Integers from 0 to below `most`. */
export function integers(count: number, most: number, seed: number): Int32Array {
  const next = uniform(seed);
  return Int32Array.from({ length: count }, () => Math.floor(next() * most));
}

/** Queries and values of a shape. */
export function qkv({ B, H, L, D, E }: Letters, seed: number): { qk: Float32Array; v: Float32Array } {
  return { qk: normals(B * H * L * D, seed), v: normals(B * H * L * E, seed + 1) };
}
