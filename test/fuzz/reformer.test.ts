/** Random configurations, models, calls and generations. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  ByteTokenizer,
  configJson,
  loadReformer,
  loadTokenizer,
  parameterCount,
  parameterShapes,
  parseSafetensors,
  Reformer,
  readConfig,
  saveReformer,
  writeSafetensors,
} from '../../src/reformer/index.js';
import { BACKENDS } from '../call.js';
import { bitsOf, MemoryFolder, SMALL, smallModel } from '../checkpoints.js';
import { integers } from '../inputs.js';
import { expectFinite, fuzz, outcome, valuesOf } from './fuzz.js';
import { isLarge, junk, mostly, optionsOf, rarely, Wanted, withReal } from './junk.js';

const VOCABULARY = SMALL.vocab_size;
const small = fc.integer({ min: 1, max: 5 });
const share = fc.constantFrom(0, 0.05);
/** Fields that weights are as large as. */
const SIZES = ['feed_forward_size', 'max_position_embeddings', 'num_labels', 'num_hashes'];
/** Every field of a config.json. */
const fields = {
  architectures: fc.constantFrom(
    ['ReformerModelWithLMHead'],
    ['ReformerModel'],
    ['ReformerForSequenceClassification'],
  ),
  is_decoder: fc.constantFrom(true, true, true, false),
  attn_layers: fc.constantFrom(['local'], ['lsh'], ['lsh', 'local']),
  axial_norm_std: share,
  axial_pos_embds: fc.boolean(),
  axial_pos_embds_dim: fc.constantFrom([2, 6], [4, 4], [3, 3]),
  axial_pos_shape: fc.constantFrom([4, 8], [2, 4]),
  chunk_size_feed_forward: fc.integer({ min: 0, max: 5 }),
  chunk_size_lm_head: fc.integer({ min: 0, max: 5 }),
  classifier_dropout: share,
  eos_token_id: fc.constantFrom(2, [2, 3], null),
  feed_forward_size: small,
  hash_seed: fc.constantFrom(null, 5),
  hidden_act: fc.constantFrom('relu', 'gelu'),
  hidden_dropout_prob: share,
  initializer_range: fc.constantFrom(0.02, 0.5),
  layer_norm_eps: fc.constantFrom(1e-12, 1e-5),
  local_attention_probs_dropout_prob: share,
  local_attn_chunk_length: fc.constantFrom(2, 4),
  local_num_chunks_before: fc.constantFrom(0, 1),
  lsh_attention_probs_dropout_prob: share,
  lsh_attn_chunk_length: fc.constantFrom(2, 4),
  lsh_num_chunks_before: fc.constantFrom(0, 1),
  max_position_embeddings: fc.constantFrom(16, 32),
  num_buckets: fc.constantFrom(4, [2, 4], null),
  num_hashes: fc.constantFrom(1, 2),
  num_labels: small,
  pad_token_id: fc.constantFrom(0, null),
  lm_head_bias: fc.boolean(),
  lsh_window: fc.constantFrom('chunk', 'bucket', 'all'),
  lsh_duplicates: fc.constantFrom('count', 'correct'),
  lsh_across_buckets: fc.boolean(),
  lsh_rotation: fc.constantFrom('gaussian', 'hadamard'),
  local_boundary: fc.constantFrom('wrap', 'stop'),
};
const config = optionsOf(fields).map((given) =>
  typeof given === 'object' && given !== null && !Array.isArray(given) ? { ...SMALL, ...given } : given,
);

fuzz(
  'readConfig, configJson, parameterShapes, parameterCount',
  fc.tuple(mostly(config), rarely(junk)),
  async ([json, spoilt]) => {
    const read = await outcome(['readConfig'], () => readConfig(json));
    const given = (spoilt ?? read?.value) as never;
    const shapes = await outcome(['parameterShapes'], () => parameterShapes(given));
    const count = await outcome(['parameterCount'], () => parameterCount(given));
    const written = await outcome(['configJson'], () => configJson(given));
    if (read === undefined || spoilt !== undefined) {
      return false;
    }
    expect(readConfig(read.value)).toEqual(read.value);
    // What no Reformer reads is kept as far as JSON can hold it.
    const again = readConfig(JSON.parse(JSON.stringify(written?.value)));
    const text = (config: object) => JSON.stringify({ ...config, others: {} }); // in which −0 is 0
    expect(text(again)).toBe(text(read.value));
    expect(count?.value).toBeGreaterThan(0);
    expect([...(shapes?.value.values() ?? [])].flat().every((n) => Number.isInteger(n) && n > 0)).toBe(true);
    return true;
  },
);

const rowsOf = (B: number, L: number, key: number) =>
  Array.from({ length: B }, (_, b) => Array.from(integers(L, VOCABULARY, key + b)));
const callOptions = optionsOf({
  mask: fc.constant('fits'),
  segments: fc.constant('fits'),
  numHashes: fc.integer({ min: 1, max: 2 }),
  window: fc.constantFrom('chunk', 'bucket', 'all'),
  training: fc.boolean(),
  seed: fc.constantFrom(0, 8),
  keepActivations: fc.boolean(),
});
const batch = { B: fc.integer({ min: 1, max: 2 }), L: fc.integer({ min: 1, max: 12 }), key: fc.nat() };

/** Rows in place of the word that asks for them. */
function filled(
  options: Record<string, unknown>,
  B: number,
  L: number,
  key: number,
): Record<string, unknown> {
  if (typeof options !== 'object' || options === null) {
    return options;
  }
  const rows = (most: number) =>
    Array.from({ length: B }, (_, b) => Array.from(integers(L, most, key + b)).sort());
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name, value === 'fits' ? rows(2) : value]),
  );
}

describe.each(BACKENDS)('on %s', (backend) => {
  const run = { backend, share: backend === 'cpu' ? 1 / 2 : 0.02 };

  fuzz(
    'Reformer',
    fc.record({
      config: mostly(config, 20),
      options: optionsOf({ seed: fc.constantFrom(0, 4) }),
      ...batch,
      ids: mostly(fc.constantFrom('rows', 'rows', 'tensor'), 25),
      method: fc.constantFrom('hidden', 'logits', 'loss', 'reconstructionDrift'),
      labels: mostly(fc.constant('fit'), 25),
      call: callOptions,
    }),
    ({ config: fields, options, B, L, key, ids, method, labels, call }) => {
      const rows = rowsOf(B, L, key);
      const tokens =
        ids === 'rows' ? rows : ids === 'tensor' ? new Wanted([B, L], 'int32', rows.flat()) : ids;
      return withReal(
        [tokens, labels === 'fit' ? rows : labels, filled(call, B, L, key), options],
        async ([given, wanted, told, made]) => {
          if (isLarge(fields, SIZES)) {
            return false;
          }
          const model = await outcome(['Reformer', 'readConfig'], () => new Reformer(fields, made as object));
          if (model === undefined) {
            return false;
          }
          try {
            const classifies = model.value.config.architectures[0] === 'ReformerForSequenceClassification';
            const targets = classifies && labels === 'fit' ? rows.map(() => 0) : wanted;
            const names = [`Reformer.${method}`, 'lshAttention', 'localAttention', 'lshBuckets'];
            const answer = await outcome<tf.Tensor | Float32Array>(names, () =>
              method === 'loss'
                ? model.value.loss(given as never, targets as never, told as object)
                : model.value[method](given as never, told as object),
            );
            if (answer !== undefined) {
              const [values] =
                answer.value instanceof tf.Tensor ? await valuesOf([answer.value]) : [answer.value];
              expectFinite(values as Float32Array, method);
            }
            return answer !== undefined;
          } finally {
            model.value.dispose();
          }
        },
      );
    },
    run,
  );

  fuzz(
    'generate, stream',
    fc.record({
      key: fc.nat(),
      lengths: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
      ids: mostly(fc.constantFrom('rows', 'rows', 'tensor'), 25),
      streams: fc.boolean(),
      options: optionsOf(
        {
          maxNewTokens: fc.integer({ min: 1, max: 3 }),
          temperature: fc.constantFrom(0, 0, 0.7),
          topK: fc.constantFrom(undefined, undefined, undefined, 3),
          topP: fc.constantFrom(undefined, undefined, undefined, 0.9),
          seed: fc.constantFrom(0, 6),
          numBeams: fc.constantFrom(1, 1, 2),
          lengthPenalty: fc.constantFrom(0, 1),
          stopTokens: fc.constantFrom([], [3]),
          sliceLength: fc.integer({ min: 1, max: 9 }),
          numHashes: fc.constantFrom(1, 2),
          hashSeed: fc.constantFrom(0, 2),
          onProgress: fc.constant(() => {}),
          signal: fc.constantFrom(undefined, AbortSignal.abort()),
        },
        ['maxNewTokens'],
      ),
    }),
    ({ key, lengths, ids, streams, options }) => {
      const rows = lengths.map((length, b) => Array.from(integers(length, VOCABULARY, key + b)));
      const square = rowsOf(2, 3, key);
      const prompts =
        ids === 'rows' ? rows : ids === 'tensor' ? new Wanted([2, 3], 'int32', square.flat()) : ids;
      return withReal([prompts, options], async ([given, told]) => {
        const model = smallModel({}, key % 3);
        try {
          const names = [
            'Reformer.generate',
            'Reformer.stream',
            'lshAttention',
            'LshCache.append',
            'lshBuckets',
            'LshCache',
          ];
          const answer = await outcome(names, async () => {
            if (!streams) {
              return (await model.generate(given as never, told as object)).tokens;
            }
            const texts: number[] = [];
            for await (const step of model.stream(given as never, told as object)) {
              texts.push(...step.filter((token) => token !== undefined));
            }
            return [texts];
          });
          for (const token of answer?.value.flat() ?? []) {
            expect(token).toBeGreaterThanOrEqual(0);
            expect(token).toBeLessThan(VOCABULARY);
          }
          return answer !== undefined;
        } finally {
          model.dispose();
        }
      });
    },
    { ...run, share: run.share / 2 },
  );
});

fuzz(
  'saveReformer, loadReformer',
  fc.record({
    fields: optionsOf(fields).map((given) => (typeof given === 'object' && given !== null ? given : {})),
    options: optionsOf({
      dtype: fc.constantFrom('float32', 'float16'),
      maxShardBytes: fc.constantFrom(100, 1000, 10_000),
    }),
    model: mostly(fc.constant('one'), 25),
    target: mostly(fc.constant('memory'), 25),
    source: mostly(fc.constant('memory'), 25),
    load: optionsOf({ onProgress: fc.constant(() => {}), signal: fc.constantFrom(undefined, undefined) }),
  }),
  async ({ fields: drawn, options, model, target, source, load }) => {
    if (isLarge(drawn, SIZES)) {
      return false;
    }
    const made = await outcome(
      ['readConfig', 'Reformer'],
      () => new Reformer({ ...SMALL, ...drawn }, { seed: 3 }),
    );
    if (made === undefined) {
      return false;
    }
    try {
      const folder = new MemoryFolder();
      const given = model === 'one' ? made.value : model;
      const into = target === 'memory' ? folder : isPath(target) ? null : target;
      const saved = await outcome(['saveReformer'], () =>
        saveReformer(given as never, into as never, options as object),
      );
      const from = source === 'memory' ? folder : isPath(source) ? null : source;
      const loaded = await outcome(['loadReformer'], () => loadReformer(from as never, load as object));
      if (loaded !== undefined) {
        const exact = saved !== undefined && options.dtype !== 'float16';
        const [before, after] = [await bitsOf(made.value), await bitsOf(loaded.value)];
        loaded.value.dispose();
        if (exact) {
          expect(after).toEqual(before);
        }
      }
      return loaded !== undefined;
    } finally {
      made.value.dispose();
    }
  },
  { share: 1 / 4 },
);

/** Texts name folders of the disk, which are no part of this. */
function isPath(value: unknown): boolean {
  return typeof value === 'string' || value instanceof URL;
}

fuzz(
  'ByteTokenizer',
  fc.record({
    text: mostly(
      fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array({ maxLength: 9 })) as fc.Arbitrary<string>,
      8,
    ),
    ids: mostly(fc.array(mostly(fc.integer({ min: 0, max: 257 }), 60), { maxLength: 9 }), 8),
  }),
  async ({ text, ids }) => {
    const tokenizer = new ByteTokenizer();
    const encoded = await outcome(['ByteTokenizer'], () => tokenizer.encode(text));
    if (encoded !== undefined && typeof text === 'string' && !/\p{Surrogate}/u.test(text)) {
      expect(tokenizer.decode(encoded.value)).toBe(text);
    }
    const decoded = await outcome(['ByteTokenizer'], () => tokenizer.decode(ids));
    await outcome(['ByteTokenizer'], () => tokenizer.bytes(ids));
    const streamed = await outcome(['ByteTokenizer'], () => {
      const stream = tokenizer.stream();
      return (
        (Array.isArray(ids) ? ids.map((id) => stream.push(id)) : [stream.push(ids)]).join('') + stream.end()
      );
    });
    if (decoded !== undefined && Array.isArray(ids)) {
      expect(streamed?.value).toBe(decoded.value);
    }
    return encoded !== undefined && decoded !== undefined;
  },
);

fuzz(
  'loadTokenizer',
  fc.oneof(
    junk.map((value) => (isPath(value) ? null : value)),
    fc.record({ json: fc.oneof(fc.jsonValue(), fc.constant(WORDS())), config: fc.jsonValue() }),
  ),
  async (given) => {
    const folder = new MemoryFolder();
    const parts = given as { json?: unknown; config?: unknown } | null;
    const isFiles = typeof given === 'object' && given !== null && 'json' in given;
    if (isFiles) {
      folder.files.set('tokenizer.json', new TextEncoder().encode(JSON.stringify(parts?.json)));
      folder.files.set('tokenizer_config.json', new TextEncoder().encode(JSON.stringify(parts?.config)));
    }
    const loaded = await outcome(['loadTokenizer'], () => loadTokenizer((isFiles ? folder : given) as never));
    if (loaded !== undefined) {
      await outcome(['Tokenizer'], () => loaded.value.decode(loaded.value.encode('a b')));
    }
    return loaded !== undefined;
  },
  { share: 1 / 4 },
);

/** The smallest tokenizer there is. */
function WORDS(): object {
  return {
    ...{ version: '1.0', added_tokens: [], normalizer: null, pre_tokenizer: { type: 'Whitespace' } },
    ...{
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab: { a: 0, b: 1, '[UNK]': 2 }, unk_token: '[UNK]' },
    },
  };
}

fuzz(
  'writeSafetensors, parseSafetensors',
  fc.record({
    tensors: fc.dictionary(
      fc.oneof(fc.string({ maxLength: 5 }), fc.constant('__metadata__')),
      mostly(
        fc
          .record({
            shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
            short: fc.integer({ min: 0, max: 20 }),
            isFloat: fc.boolean(),
          })
          .map(({ shape, short, isFloat }) => {
            const count = Math.max(0, shape.reduce((a, b) => a * b, 1) - Number(short === 0));
            return {
              shape,
              values: isFloat ? new Float32Array(count).fill(0.5) : new Int32Array(count).fill(-3),
            };
          }),
        60,
      ),
      { maxKeys: 3 },
    ),
    metadata: mostly(
      fc.dictionary(fc.string({ maxLength: 4 }), fc.string({ maxLength: 4 }), { maxKeys: 2 }),
      20,
    ),
    whole: mostly(fc.constant('object'), 40),
  }),
  async ({ tensors, metadata, whole }) => {
    const given = whole === 'object' ? { tensors: new Map(Object.entries(tensors)), metadata } : whole;
    const file = await outcome(['writeSafetensors'], () => writeSafetensors(given as never));
    if (file !== undefined) {
      const read = parseSafetensors(file.value);
      expect([...read.tensors].sort()).toEqual(
        [...(given as { tensors: Map<string, unknown> }).tensors].sort(),
      );
      expect(read.metadata).toEqual({ ...metadata });
    }
    return file !== undefined;
  },
);
