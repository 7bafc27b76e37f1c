import type { ReformerConfig } from './config.js';

/** Least common multiple of the chunk lengths of the layers that there are. */
export function chunkMultiple(config: ReformerConfig): number {
  return chunkLengths(config).reduce((a, b) => (a / greatestDivisor(a, b)) * b);
}

/** The chunk lengths of the kinds of layers that there are. */
export function chunkLengths({
  attn_layers,
  lsh_attn_chunk_length,
  local_attn_chunk_length,
}: ReformerConfig): number[] {
  return [
    ...(attn_layers.includes('lsh') ? [lsh_attn_chunk_length] : []),
    ...(attn_layers.includes('local') ? [local_attn_chunk_length] : []),
  ];
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Most tokens of a sequence. */
export function maxLength({
  max_position_embeddings,
  axial_pos_embds,
  axial_pos_shape,
}: ReformerConfig): number {
  const product = axial_pos_shape.reduce((a, b) => a * b, 1);
  return axial_pos_embds ? Math.min(product, max_position_embeddings) : max_position_embeddings;
}
