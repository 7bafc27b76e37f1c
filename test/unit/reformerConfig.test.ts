import { describe, expect, test } from 'vitest';
import { bucketsFor, paddedLength } from '../../src/reformer/buckets.js';
import { configJson, parameterCount, parameterShapes, readConfig } from '../../src/reformer/index.js';
import { RELEASED } from '../released.js';

describe('readConfig', () => {
  test.each(Object.entries(RELEASED))(
    '%s has as many parameters as in transformers',
    (_, { config, parameters }) => {
      expect(parameterCount(readConfig(config))).toBe(parameters);
    },
  );

  test("an empty object is transformers' default", () => {
    const { others, ...config } = readConfig({});
    expect(others).toEqual({});
    expect(config).toMatchObject({
      architectures: ['ReformerForMaskedLM'],
      attn_layers: ['local', 'lsh', 'local', 'lsh', 'local', 'lsh'],
      num_hidden_layers: 6,
      num_buckets: null,
      hidden_act: 'relu',
      eos_token_id: 2,
      pad_token_id: 0,
      lsh_window: 'chunk',
      lsh_round_boundary: 'wrap',
      lm_head_bias: false,
    });
  });

  test('what is read is written back, and fields of others with it', () => {
    const json = {
      ...RELEASED.enwik8.config,
      dtype: 'float32',
      transformers_version: '5.18.0',
      id2label: { 0: 'a' },
    };
    const written = configJson(readConfig(json));
    expect(written).toMatchObject(json);
    expect(written.model_type).toBe('reformer');
    expect(Object.keys(written).filter((name) => /^(lsh_window|lsh_dup|local_b)/.test(name))).toEqual([]);
    expect(readConfig(written)).toEqual(readConfig(json));
    expect(readConfig(readConfig(json))).toEqual(readConfig(json));
  });

  test('lm_head.bias is added where transformers 4 wrote the configuration, or it is asked for', () => {
    expect(readConfig({ transformers_version: '4.46.1' }).lm_head_bias).toBe(true);
    expect(readConfig({ transformers_version: '5.18.0' }).lm_head_bias).toBe(false);
    expect(readConfig({ transformers_version: '5.18.0', lm_head_bias: true }).lm_head_bias).toBe(true);
  });

  test('windows stop at their rounds where they cannot wrap', () => {
    expect(readConfig({ lsh_window: 'bucket' }).lsh_round_boundary).toBe('stop');
    expect(readConfig({ lsh_duplicates: 'correct' }).lsh_round_boundary).toBe('stop');
  });

  test.each([
    [{ hidden_act: 'swiglu' }, RangeError, /`hidden_act` must be 'relu' or .*got 'swiglu'/],
    [{ num_buckets: 7 }, RangeError, /`num_buckets` must be an even number .* got 7\. Try/],
    [{ num_buckets: [8, 5] }, RangeError, /`num_buckets` must be an even number .* got \[8,5\]/],
    [{ axial_pos_embds_dim: [64, 64] }, RangeError, /must add up to `hidden_size`, 256, got \[64,64\]/],
    [
      { axial_pos_shape: [4, 4] },
      RangeError,
      /product of `axial_pos_shape` must be at least .* 64, got \[4,4\]/,
    ],
    [{ axial_pos_shape: [4, 4, 4] }, RangeError, /`axial_pos_shape` must have two numbers/],
    [{ attn_layers: ['dense'] }, RangeError, /`attn_layers` must be 'lsh' or 'local', got 'dense'/],
    [{ attn_layers: [] }, TypeError, /`attn_layers` must be a list with something in it/],
    [
      { num_hidden_layers: 3 },
      RangeError,
      /`num_hidden_layers` must be the length of `attn_layers`, 6, got 3/,
    ],
    [{ tie_word_embeddings: true }, RangeError, /`tie_word_embeddings` must be false/],
    [{ hidden_dropout_prob: 1 }, RangeError, /`hidden_dropout_prob` must be a number from 0 to below 1/],
    [{ hidden_size: 2.5 }, RangeError, /`hidden_size` must be an integer from 1 up, got 2\.5/],
    [{ layer_norm_eps: -1 }, RangeError, /`layer_norm_eps` must be a number from 0 to 1000/],
    [{ axial_norm_std: 1e300 }, RangeError, /`axial_norm_std` must be a number from 0 to 1000/],
    [{ model_type: 'bert' }, RangeError, /`model_type` must be 'reformer', got 'bert'/],
    [{ architectures: ['ReformerForQuestionAnswering'] }, RangeError, /`architectures` must be/],
    [{ architectures: ['ReformerModelWithLMHead'] }, RangeError, /`is_decoder` must be true/],
    [{ is_decoder: true, lsh_num_chunks_after: 1 }, RangeError, /`lsh_num_chunks_after` must be 0/],
    ['{}', TypeError, /must be an object with the fields of a config\.json/],
  ])('%j is refused', (json, kind, message) => {
    expect(() => readConfig(json)).toThrow(kind);
    expect(() => readConfig(json)).toThrow(message);
    expect(() => readConfig(json)).toThrow(/^readConfig: /);
  });
});

test('parameters are named for the model alone, and for each head', () => {
  const names = (architecture: string, is_decoder = false) => [
    ...parameterShapes(readConfig({ architectures: [architecture], is_decoder })).keys(),
  ];
  expect(names('ReformerModel')[0]).toBe('embeddings.word_embeddings.weight');
  expect(names('ReformerModelWithLMHead', true)).toContain('lm_head.bias');
  expect(names('ReformerForSequenceClassification').slice(-4)).toEqual([
    'classifier.dense.weight',
    'classifier.dense.bias',
    'classifier.out_proj.weight',
    'classifier.out_proj.bias',
  ]);
});

test("sequences are padded and hashed by transformers' rules", () => {
  const config = readConfig({ lsh_attn_chunk_length: 48, max_position_embeddings: 2 ** 20 });
  expect([48, 49, 192, 193].map((length) => paddedLength(length, config, 'chunk'))).toEqual([
    48, 192, 192, 384,
  ]);
  expect(paddedLength(49, readConfig({ is_decoder: true }), 'bucket')).toBe(49);
  expect([96, 960, 9600, 96000].map((length) => bucketsFor(length, config))).toEqual([4, 32, 256, [32, 64]]);
});
