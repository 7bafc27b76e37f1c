import { hashes, wrapsLocally } from './attention.js';
import type { ReformerConfig } from './config.js';
import { chunkLengths, chunkMultiple } from './lengths.js';

/** What a window of an LSH layer is. */
type Window = ReformerConfig['lsh_window'];

/**
 * The length that a sequence is padded to, masked: for whole chunks, where windows run on over their edges, unless
 * one chunk holds all (transformers' rule).
 */
export function paddedLength(length: number, config: ReformerConfig, window: Window): number {
  const { attn_layers, lsh_round_boundary } = config;
  const hashed = attn_layers.includes('lsh') && window === 'chunk' && lsh_round_boundary === 'wrap';
  if ((!hashed && !wrapsLocally(config)) || length <= Math.min(...chunkLengths(config))) {
    return length;
  }
  const multiple = chunkMultiple(config);
  return Math.ceil(length / multiple) * multiple;
}

/** Whether any layer hashes sequences of a padded length. */
export function anyHashes(length: number, config: ReformerConfig, window: Window): boolean {
  return config.attn_layers.includes('lsh') && hashes(length, config, window);
}

/**
 * The number of buckets for a padded length, where the configuration has none: the largest power of two that is at
 * most twice the number of chunks; beyond 2·max(√(most chunks), chunk length) two factors (transformers' rule).
 */
export function bucketsFor(length: number, config: ReformerConfig): number | readonly number[] {
  const { lsh_attn_chunk_length: C, max_position_embeddings } = config;
  const power = Math.max(1, Math.floor(Math.log2(2 * Math.floor(length / C))));
  const most = 2 * Math.max(Math.floor(Math.sqrt(Math.floor(max_position_embeddings / C))), C);
  const half = Math.floor(power / 2);
  return 2 ** power > most ? [2 ** half, 2 ** (power - half)] : 2 ** power;
}
