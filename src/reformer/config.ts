import { MAX_DEPTH, MAX_HASHES } from '../attention/door.js';
import { Door, show } from '../door.js';
import { checkTogether } from './consistency.js';
import { ConfigReader, type Json } from './fields.js';
import { checkRead } from './parameters.js';

/** The models that transformers makes of a Reformer, by the names in `architectures`. */
export const ARCHITECTURES = [
  'ReformerModelWithLMHead',
  'ReformerForMaskedLM',
  'ReformerForSequenceClassification',
  'ReformerModel',
] as const;
/** One of the models that transformers makes of a Reformer. */
export type Architecture = (typeof ARCHITECTURES)[number];

/**
 * The configuration of a Reformer, by the names of transformers' `config.json`, filled in with its defaults.
 *
 * Fields that transformers does not have, and ignores, say where a model departs from its arithmetic; their
 * defaults are transformers'.
 */
export interface ReformerConfig {
  /** The head: one name. @default by `is_decoder`, `ReformerModelWithLMHead` or `ReformerForMaskedLM` */
  readonly architectures: readonly [Architecture];
  /** D, the depth of a head's queries, keys and values. @default 64 */
  readonly attention_head_size: number;
  /** What each layer attends by, from the first to the last. @default local, lsh, three times over */
  readonly attn_layers: readonly ('lsh' | 'local')[];
  /** Standard deviation of new axial positions. @default 1 */
  readonly axial_norm_std: number;
  /** Whether positions are axial (Kitaev et al. 2020, section 3), or learned one by one. @default true */
  readonly axial_pos_embds: boolean;
  /** Their two widths, which add up to `hidden_size`. @default [64, 192] */
  readonly axial_pos_embds_dim: readonly number[];
  /** Their two lengths: sequences are at most as long as their product. @default [64, 64] */
  readonly axial_pos_shape: readonly number[];
  /** Tokens that go through a feed-forward layer at a time; 0 for all. @default 0 */
  readonly chunk_size_feed_forward: number;
  /** Tokens whose logits the loss holds at a time; 0 for a number that suits the vocabulary. @default 0 */
  readonly chunk_size_lm_head: number;
  /** Dropout of the classification head. @default `hidden_dropout_prob` */
  readonly classifier_dropout: number | null;
  /** Tokens that end a text. @default 2 */
  readonly eos_token_id: number | readonly number[] | null;
  /** @default 512 */
  readonly feed_forward_size: number;
  /** Seed of the rotations outside training; null for 0. @default null */
  readonly hash_seed: number | null;
  /** The activation of the feed-forward layers. @default 'relu' */
  readonly hidden_act: string;
  /** Dropout of embeddings and of what layers add, in training. @default 0.05 */
  readonly hidden_dropout_prob: number;
  /** The width of each residual stream. @default 256 */
  readonly hidden_size: number;
  /** Standard deviation of new weights. @default 0.02 */
  readonly initializer_range: number;
  /** Whether no token sees a later one. @default false */
  readonly is_decoder: boolean;
  /** @default 1e-12 */
  readonly layer_norm_eps: number;
  /** Dropout of the weights of local attention, in training. @default 0.05 */
  readonly local_attention_probs_dropout_prob: number;
  /** @default 64 */
  readonly local_attn_chunk_length: number;
  /** @default 0 */
  readonly local_num_chunks_after: number;
  /** @default 1 */
  readonly local_num_chunks_before: number;
  /** Dropout of the weights of LSH attention, in training. @default 0 */
  readonly lsh_attention_probs_dropout_prob: number;
  /** @default 64 */
  readonly lsh_attn_chunk_length: number;
  /** @default 0 */
  readonly lsh_num_chunks_after: number;
  /** @default 1 */
  readonly lsh_num_chunks_before: number;
  /** Most tokens of a sequence. @default 4096 */
  readonly max_position_embeddings: number;
  /** H. @default 12 */
  readonly num_attention_heads: number;
  /**
   * N, even, or its even factors. Null: set from the length of the first sequence that is hashed, as
   * transformers does. @default null
   */
  readonly num_buckets: number | readonly number[] | null;
  /** R. @default 1 */
  readonly num_hashes: number;
  /** The length of `attn_layers`. */
  readonly num_hidden_layers: number;
  /** Classes of a sequence, of the classification head. @default 2 */
  readonly num_labels: number;
  /** The token of padding; null for 0. @default 0 */
  readonly pad_token_id: number | null;
  /** Always false: the head reads both streams, the embedding is as wide as one. */
  readonly tie_word_embeddings: boolean;
  /** @default 320 */
  readonly vocab_size: number;

  /**
   * Whether `lm_head.bias` is added to the logits. transformers 4 adds it, and saves it a second time as
   * `lm_head.decoder.bias`; transformers 5 has the parameter and never adds it.
   * @default true where `transformers_version` is below 5, else false
   */
  readonly lm_head_bias: boolean;
  /**
   * What a token of an LSH layer sees: chunks of the sorted row, its buckets (see `lshAttention`: then
   * no output depends on a later token, and decoding equals the forward pass), or every token.
   * @default 'chunk'
   */
  readonly lsh_window: 'chunk' | 'bucket' | 'all';
  /** Whether a key seen in several rounds counts in each, or once. @default 'count' */
  readonly lsh_duplicates: 'count' | 'correct';
  /** Whether chunks see over the rounds' edges. @default 'wrap' where it can be had, else 'stop' */
  readonly lsh_round_boundary: 'wrap' | 'stop';
  /** Whether a token sees tokens of other buckets in its chunks. @default true */
  readonly lsh_across_buckets: boolean;
  /** What turns vectors before they are hashed. @default 'gaussian' */
  readonly lsh_rotation: 'gaussian' | 'hadamard';
  /** Whether the first and the last chunk of a local layer that is not causal are neighbours. @default 'wrap' */
  readonly local_boundary: 'wrap' | 'stop';

  /** Fields that nothing here reads, for writing them back. */
  readonly others: Json;
}

/**
 * A configuration from the parsed text of a `config.json`, or from any object with such names.
 *
 * @throws TypeError for values of a wrong kind, RangeError for others that no Reformer can have, naming the
 * field, its rule and the value.
 */
export function readConfig(json: unknown): ReformerConfig {
  const door = new Door('readConfig');
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw door.kind('the configuration must be an object with the fields of a config.json. Parse the file.');
  }
  const { others = {}, ...given } = json as Json & { others?: Json };
  door.object('others', others);
  const read = new ConfigReader(door, { ...others, ...given });
  const config: ReformerConfig = {
    ...readSizes(read),
    ...readAttention(read),
    ...readOwn(read),
    others: checkedOthers(door, read.others(['transformers_version'])),
  };
  checkTogether(config, door);
  return config;
}

/** Fields that nothing here reads; they are written back, and so must be JSON. */
function checkedOthers(door: Door, others: Json): Json {
  for (const [name, value] of Object.entries(others)) {
    try {
      JSON.stringify(value);
    } catch (cause) {
      throw door.kind(`\`${name}\` must be JSON, got ${show(value)}. Leave it out.`, { cause });
    }
  }
  return others;
}

/** The object that belongs into `config.json`. What transformers does not know is left out where it is transformers' way. */
export function configJson(config: ReformerConfig): Json {
  checkRead('configJson', config);
  const { others, lm_head_bias, num_labels, ...written } = config;
  const json: Record<string, unknown> = { ...others, ...written, model_type: 'reformer' };
  for (const [name, value] of Object.entries(TRANSFORMERS_WAY)) {
    if (json[name] === value) {
      delete json[name];
    }
  }
  if (!('id2label' in json)) {
    json.num_labels = num_labels;
  }
  return { ...json, lm_head_bias };
}

const TRANSFORMERS_WAY: Partial<ReformerConfig> = {
  lsh_window: 'chunk',
  lsh_duplicates: 'count',
  lsh_round_boundary: 'wrap',
  lsh_across_buckets: true,
  lsh_rotation: 'gaussian',
  local_boundary: 'wrap',
};

function readSizes(read: ConfigReader) {
  const is_decoder = read.flag('is_decoder', false);
  return {
    architectures: [architecture(read, is_decoder)] as const,
    is_decoder,
    vocab_size: read.integer('vocab_size', 320, 1),
    hidden_size: read.integer('hidden_size', 256, 1),
    feed_forward_size: read.integer('feed_forward_size', 512, 1),
    hidden_act: read.activation('hidden_act', 'relu'),
    hidden_dropout_prob: read.share('hidden_dropout_prob', 0.05),
    classifier_dropout: read.nullable('classifier_dropout', () => read.share('classifier_dropout', 0)),
    num_labels: read.labels(),
    axial_pos_embds: read.flag('axial_pos_embds', true),
    axial_pos_shape: read.integers('axial_pos_shape', [64, 64], 1),
    axial_pos_embds_dim: read.integers('axial_pos_embds_dim', [64, 192], 1),
    axial_norm_std: read.positive('axial_norm_std', 1),
    initializer_range: read.positive('initializer_range', 0.02),
    layer_norm_eps: read.positive('layer_norm_eps', 1e-12),
    max_position_embeddings: read.integer('max_position_embeddings', 4096, 1),
    chunk_size_feed_forward: read.integer('chunk_size_feed_forward', 0, 0),
    chunk_size_lm_head: read.integer('chunk_size_lm_head', 0, 0),
    pad_token_id: read.nullable('pad_token_id', () => read.integer('pad_token_id', 0, 0), 0),
    eos_token_id: read.tokens('eos_token_id', 2),
    tie_word_embeddings: read.flag('tie_word_embeddings', false),
  };
}

function readAttention(read: ConfigReader) {
  const attn_layers = read.layers('attn_layers', ['local', 'lsh', 'local', 'lsh', 'local', 'lsh']);
  return {
    attn_layers,
    num_hidden_layers: read.integer('num_hidden_layers', attn_layers.length, 1),
    num_attention_heads: read.integer('num_attention_heads', 12, 1),
    attention_head_size: read.integer('attention_head_size', 64, 1, MAX_DEPTH),
    num_hashes: read.integer('num_hashes', 1, 1, MAX_HASHES),
    num_buckets: read.buckets('num_buckets'),
    hash_seed: read.nullable('hash_seed', () => read.integer('hash_seed', 0, 0)),
    lsh_attn_chunk_length: read.integer('lsh_attn_chunk_length', 64, 1),
    lsh_num_chunks_before: read.integer('lsh_num_chunks_before', 1, 0),
    lsh_num_chunks_after: read.integer('lsh_num_chunks_after', 0, 0),
    lsh_attention_probs_dropout_prob: read.share('lsh_attention_probs_dropout_prob', 0),
    local_attn_chunk_length: read.integer('local_attn_chunk_length', 64, 1),
    local_num_chunks_before: read.integer('local_num_chunks_before', 1, 0),
    local_num_chunks_after: read.integer('local_num_chunks_after', 0, 0),
    local_attention_probs_dropout_prob: read.share('local_attention_probs_dropout_prob', 0.05),
  };
}

function readOwn(read: ConfigReader) {
  const lsh_window = read.oneOf('lsh_window', 'chunk', ['chunk', 'bucket', 'all']);
  const lsh_duplicates = read.oneOf('lsh_duplicates', 'count', ['count', 'correct']);
  const wraps = lsh_window === 'chunk' && lsh_duplicates === 'count';
  return {
    lm_head_bias: read.flag('lm_head_bias', read.majorVersion() < 5),
    lsh_window,
    lsh_duplicates,
    lsh_round_boundary: read.oneOf('lsh_round_boundary', wraps ? 'wrap' : 'stop', ['wrap', 'stop']),
    lsh_across_buckets: read.flag('lsh_across_buckets', true),
    lsh_rotation: read.oneOf('lsh_rotation', 'gaussian', ['gaussian', 'hadamard']),
    local_boundary: read.oneOf('local_boundary', 'wrap', ['wrap', 'stop']),
  };
}

function architecture(read: ConfigReader, isDecoder: boolean): Architecture {
  read.oneOf('model_type', 'reformer', ['reformer']);
  const [first] = read.list('architectures', [isDecoder ? 'ReformerModelWithLMHead' : 'ReformerForMaskedLM']);
  return read.choice('architectures', first, ARCHITECTURES);
}
