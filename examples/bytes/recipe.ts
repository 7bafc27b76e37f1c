/** All that decides what a run computes, but for the number of its steps. */
export interface Recipe {
  /** L, the bytes of a sequence. */
  readonly length: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Features inside the feed-forward parts. */
  readonly hidden: number;
  /** C, the tokens of a chunk of LSH layers; of local layers it is half as long. */
  readonly chunkLength: number;
  /** Exact attention in place of LSH, or LSH with so many rounds. */
  readonly attention: 'dense' | number;
  /** Sequences of a step. */
  readonly batch: number;
  /** The highest learning rate. */
  readonly rate: number;
  /** Steps in which the rate rises to it. */
  readonly warmUp: number;
  readonly seed: number;
}

/** What learns from a million bytes. */
export const DEFAULT_RECIPE: Omit<Recipe, 'attention'> = {
  length: 4096,
  layers: 8,
  width: 64,
  heads: 2,
  hidden: 128,
  chunkLength: 64,
  batch: 1,
  rate: 0.01,
  warmUp: 20,
  seed: 1,
};

/** Columns of the axial positions. */
export const COLUMNS = 64;
/** The deviation of new matrices. */
export const INITIAL_RANGE = 0.05;

/** The model as transformers configures it; layers are local and LSH by turns. */
export function configOf(recipe: Recipe, vocab_size: number): object {
  const { length, layers, width, heads, hidden, chunkLength, attention } = recipe;
  return {
    ...{ is_decoder: true, vocab_size, hidden_size: width, feed_forward_size: hidden },
    attn_layers: Array.from({ length: layers }, (_, n) => (n % 2 === 0 ? 'local' : 'lsh')),
    ...{ num_attention_heads: heads, attention_head_size: width / heads },
    ...{ lsh_attn_chunk_length: chunkLength, local_attn_chunk_length: chunkLength / 2 },
    num_hashes: attention === 'dense' ? 1 : attention,
    num_buckets: bucketsFor(length, chunkLength),
    ...{ lsh_duplicates: 'correct', lsh_round_boundary: 'stop' },
    axial_pos_shape: [Math.ceil(length / COLUMNS), COLUMNS],
    axial_pos_embds_dim: [width / 2, width / 2],
    max_position_embeddings: COLUMNS * Math.ceil(length / COLUMNS),
    ...{ hidden_dropout_prob: 0, local_attention_probs_dropout_prob: 0 },
    ...{ initializer_range: INITIAL_RANGE, layer_norm_eps: 1e-6, eos_token_id: null, lm_head_bias: false },
  };
}

/** Two for each chunk, a power of two. */
function bucketsFor(length: number, chunkLength: number): number {
  return 2 ** Math.max(1, Math.round(Math.log2((2 * length) / chunkLength)));
}
