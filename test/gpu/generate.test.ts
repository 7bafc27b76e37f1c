import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, test } from 'vitest';
import { ModelCache } from '../../src/reformer/generate/modelCache.js';
import { likeliest, logSoftmax } from '../../src/reformer/generate/sampling.js';
import { type GenerateOptions, Reformer, type ReformerCallOptions } from '../../src/reformer/index.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';
import { at } from '../oracle/shape.js';

const VOCABULARY = 13;
/** Chunks that no number of tokens here divides, several rounds, and both kinds of layers. */
const CONFIG = {
  is_decoder: true,
  attn_layers: ['local', 'lsh', 'lsh', 'local'],
  hidden_size: 24,
  num_attention_heads: 2,
  attention_head_size: 12,
  feed_forward_size: 40,
  vocab_size: VOCABULARY,
  axial_pos_shape: [8, 9],
  axial_pos_embds_dim: [8, 16],
  initializer_range: 0.4,
  lsh_attn_chunk_length: 8,
  local_attn_chunk_length: 7,
  num_buckets: 8,
  num_hashes: 2,
  max_position_embeddings: 72,
  eos_token_id: null,
};

const textOf = (length: number, seed = 5) => [...integers(length, VOCABULARY, seed)];
const LEARNED = { axial_pos_embds: false, max_position_embeddings: 50, hidden_size: 24 };
const VARIANTS: [string, object][] = [
  ['axial positions, rounds counted', {}],
  ['learned positions, a key counted once', { ...LEARNED, lsh_duplicates: 'correct' }],
  ['buckets of two factors, more chunks before', { num_buckets: [2, 4], local_num_chunks_before: 2 }],
  ['local layers without chunks before', { attn_layers: ['local'], local_num_chunks_before: 0 }],
];

async function valuesOf(tensor: tf.Tensor): Promise<Float32Array> {
  const values = (await tensor.data()) as Float32Array;
  tensor.dispose();
  return values;
}

/** The logits of each token's next one, `[L][V]`, by the whole forward pass of a text alone. */
async function wholeLogits(model: Reformer, ids: readonly number[], options: ReformerCallOptions = {}) {
  const values = await valuesOf(model.logits([ids], { window: 'bucket', ...options }));
  return ids.map((_, i) => values.subarray(i * VOCABULARY, (i + 1) * VOCABULARY));
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, name: string): void {
  const largest = Math.max(...Array.from(wanted, Math.abs));
  const off = Math.max(...Array.from(wanted, (x, i) => Math.abs(x - at(found, i))));
  expect(off / largest, name).toBeLessThan(1e-4);
}

/** What takes the likeliest token of whole forward passes. */
async function greedyByForward(model: Reformer, prompt: readonly number[], count: number, options = {}) {
  const ids = [...prompt];
  let sum = 0;
  for (let n = 0; n < count; n++) {
    const logits = (await wholeLogits(model, ids, options)).at(-1) as Float32Array;
    ids.push(likeliest(logits));
    sum += at(logSoftmax(logits), at(ids, ids.length - 1));
  }
  return { tokens: ids.slice(prompt.length), sum };
}

describe.each(BACKENDS)('on %s', (backend) => {
  const models: Reformer[] = [];
  const modelOf = (changes: object = {}) => {
    const model = new Reformer({ ...CONFIG, ...changes }, { seed: 3 });
    models.push(model);
    return model;
  };
  afterAll(() => {
    for (const model of models) {
      model.dispose();
    }
  });

  test.each(backend === 'webgpu' ? VARIANTS.slice(0, 1) : VARIANTS)(
    'decoding is the forward pass at every position: %s',
    async (_, changes) => {
      await onBackend(backend, async () => {
        const model = modelOf(changes);
        const ids = textOf(41);
        const whole = await wholeLogits(model, ids);
        // As `generate` makes it.
        const { decoder, encoder, call } = decodingOf(model);
        const cache = new ModelCache(
          { config: model.config, encoder, decoder, bucketsOf: () => 8 },
          call,
          64,
        );
        let taken = 0;
        for (const size of [17, 1, 1, 9, ...Array<number>(13).fill(1)]) {
          const places = Array.from({ length: size }, (_, i) => taken + i);
          const logits = await valuesOf(cache.append([ids.slice(taken, taken + size)], [places]));
          taken += size;
          expectClose(logits, whole[taken - 1] as Float32Array, `position ${taken - 1}`);
        }
        expect(taken).toBe(41);
        cache.dispose();
      });
    },
  );

  test('greedy texts of unequal prompts are those of whole forward passes, each by itself', async () => {
    await onBackend(backend, async () => {
      const model = modelOf();
      const prompts = [textOf(19), textOf(3, 8), textOf(11, 9)];
      const options: GenerateOptions = { maxNewTokens: 6, sliceLength: 8, numHashes: 3, hashSeed: 4 };
      const { tokens, endings, logProbabilities } = await model.generate(prompts, options);
      expect(endings).toEqual(['length', 'length', 'length']);
      for (const [b, prompt] of (backend === 'webgpu' ? prompts.slice(1, 2) : prompts).entries()) {
        const row = backend === 'webgpu' ? 1 : b;
        const wanted = await greedyByForward(model, prompt, 6, { numHashes: 3, seed: 4 });
        expect(tokens[row]).toEqual(wanted.tokens);
        expect(logProbabilities[row]).toBeCloseTo(wanted.sum, 3);
      }
    });
  });

  test('a stream is the whole, and one seed one text', async () => {
    await onBackend(backend, async () => {
      const model = modelOf();
      const prompts = [textOf(9), textOf(4, 8)];
      const options = { maxNewTokens: 12, temperature: 1.5, topK: 6, topP: 0.9, seed: 7, stopTokens: [2] };
      const whole = await model.generate(prompts, options);
      const streamed: number[][] = [[], []];
      for await (const step of model.stream(prompts, options)) {
        for (const [b, token] of step.entries()) {
          if (token !== undefined) {
            streamed[b]?.push(token);
          }
        }
      }
      expect(streamed).toEqual(whole.tokens);
      expect((await model.generate(prompts, { ...options, seed: 8 })).tokens).not.toEqual(whole.tokens);
    });
  });

  test('nothing is left, whether a call ends, throws, is aborted or left', async () => {
    await onBackend(backend, async () => {
      const model = modelOf();
      const prompts = [textOf(9), textOf(4, 8)];
      const rotations = [1, 2].map((seed) => tf.randomNormal([2, 12, 2, 4], 0, 1, 'float32', seed));
      const all = async () => {
        await model.generate(prompts, { maxNewTokens: 3, numBeams: 2, rotations });
        for await (const _ of model.stream(prompts, { maxNewTokens: 5 })) {
          break;
        }
        const controller = new AbortController();
        const onProgress = () => controller.abort();
        await model.generate(prompts, { signal: controller.signal, onProgress });
        const fails = () => {
          throw new Error('mine');
        };
        await expect(model.generate(prompts, { onProgress: fails })).rejects.toThrow('mine');
        const wrong = [rotations[0] as tf.Tensor, tf.zeros([2, 12, 2, 5])];
        await expect(model.generate(prompts, { rotations: wrong })).rejects.toThrow(/rotations/);
        wrong[1]?.dispose();
      };
      await all();
      const before = tf.memory().numTensors;
      await all();
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose(rotations);
    });
  });
});

/** The parts that decode, and a call of them. */
function decodingOf(model: Reformer) {
  const { num_hashes: numHashes, num_buckets } = model.config;
  const weight = model.weights.get('lm_head.decoder.weight') as tf.Variable;
  const bias = model.weights.get('lm_head.bias') as tf.Variable;
  const shared = { window: 'bucket', training: false, seed: 0 } as const;
  return {
    encoder: model.encoder,
    decoder: { weight, ...(model.config.lm_head_bias && { bias }) },
    call: { ...shared, numHashes, numBuckets: num_buckets ?? 8 },
  };
}

describe.runIf(BACKENDS.includes('cpu'))('with one backend', () => {
  const onCpu = async (during: (model: Reformer) => Promise<void>, changes: object = {}) =>
    await onBackend('cpu', async () => {
      const model = new Reformer({ ...CONFIG, ...changes }, { seed: 3 });
      try {
        await during(model);
      } finally {
        model.dispose();
      }
    });

  test('beams that drop nothing find the best of all texts', async () => {
    await onCpu(
      async (model) => {
        const [prompt, stop, most] = [[0, 2, 1], 1, 4];
        for (const lengthPenalty of [0, 1, -0.5, 2]) {
          const found = await model.generate([prompt, [2]], {
            ...{ numBeams: 100, lengthPenalty, maxNewTokens: most, stopTokens: [stop] },
          });
          for (const [b, start] of [prompt, [2]].entries()) {
            const { tokens, sum } = await bestOfAll(model, start, { stop, most, lengthPenalty });
            expect(found.tokens[b], `penalty ${lengthPenalty}`).toEqual(tokens);
            expect(found.logProbabilities[b]).toBeCloseTo(sum, 4);
            expect(found.endings[b]).toBe(tokens.at(-1) === stop ? 'stop' : 'length');
          }
        }
      },
      { vocab_size: 3, initializer_range: 0.2 },
    );
  });

  test('one beam is greedy, and more are no worse on the whole', async () => {
    await onCpu(async (model) => {
      const prompts = Array.from({ length: 6 }, (_, b) => textOf(5 + b, b));
      const sums: number[] = [];
      for (const numBeams of [1, 2, 4]) {
        const { logProbabilities } = await model.generate(prompts, { numBeams, maxNewTokens: 8 });
        sums.push(logProbabilities.reduce((a, b) => a + b));
      }
      expect(at(sums, 1)).toBeGreaterThanOrEqual(at(sums, 0));
      expect(at(sums, 2)).toBeGreaterThan(at(sums, 0));
    });
  });

  test('padding in a mask, on either side, and a tensor are the prompts without', async () => {
    await onCpu(async (model) => {
      const options = { maxNewTokens: 5 };
      const prompts = [textOf(6), textOf(4, 8)];
      const { tokens } = await model.generate(prompts, options);
      const mask = [
        [0, 1, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 0, 0],
      ];
      const ids = [
        [3, ...textOf(6)],
        [1, ...textOf(4, 8), 7, 7],
      ];
      expect((await model.generate(ids, { ...options, mask })).tokens).toEqual(tokens);
      const tensor = tf.tensor2d(ids, [2, 7], 'int32');
      expect((await model.generate(tensor, { ...options, mask })).tokens).toEqual(tokens);
      tensor.dispose();
    });
  });

  test('a stop token ends a text, and the others go on as if they were alone', async () => {
    await onCpu(async (model) => {
      const prompts = [textOf(6), textOf(4, 8), textOf(8, 11)];
      const free = await model.generate(prompts, { maxNewTokens: 10 });
      const stop = at(free.tokens[1] as number[], 3);
      const found = await model.generate(prompts, { maxNewTokens: 10, stopTokens: [stop] });
      for (const [b, tokens] of free.tokens.entries()) {
        const end = tokens.indexOf(stop);
        expect(found.tokens[b]).toEqual(end < 0 ? tokens : tokens.slice(0, end + 1));
        expect(found.endings[b]).toBe(end < 0 ? 'length' : 'stop');
      }
      const ofConfig = new Reformer({ ...model.config, eos_token_id: [stop, 400] }, { seed: 3 });
      expect((await ofConfig.generate(prompts, { maxNewTokens: 10 })).tokens).toEqual(found.tokens);
      ofConfig.dispose();
    });
  });

  test('what was generated before an abort is returned, by a timer too', async () => {
    await onCpu(async (model) => {
      const prompts = [textOf(9), textOf(4, 8)];
      const whole = await model.generate(prompts, { maxNewTokens: 9 });
      for (const numBeams of [1, 3]) {
        const controller = new AbortController();
        const onProgress = ({ newTokens }: { newTokens: number }) => {
          if (newTokens === 4) {
            setTimeout(() => controller.abort());
          }
        };
        const options = { maxNewTokens: 50, numBeams, signal: controller.signal, onProgress };
        const { tokens, endings } = await model.generate(prompts, options);
        expect(endings).toEqual(['aborted', 'aborted']);
        expect(tokens[0]?.length).toBeGreaterThanOrEqual(4);
        expect(tokens[0]?.length).toBeLessThan(8);
        if (numBeams === 1) {
          expect(tokens[1]).toEqual(whole.tokens[1]?.slice(0, tokens[1]?.length));
        }
      }
      const signal = AbortSignal.abort();
      expect((await model.generate(prompts, { signal })).tokens).toEqual([[], []]);
    });
  });

  test('buckets that the configuration leaves open follow from the whole length', async () => {
    await onCpu(
      async (model) => {
        await model.generate([textOf(20)], { maxNewTokens: 30, signal: AbortSignal.abort() });
        expect(model.config.num_buckets).toBe(8);
      },
      { num_buckets: null },
    );
  });

  test.each<[string, number[][], GenerateOptions | object, RegExp]>([
    ['a prompt as long as the positions', [textOf(72)], {}, /positions, 72, got 72\. Cut off its start/],
    ['more tokens than positions', [textOf(60)], { maxNewTokens: 13 }, /leaves 12, got `maxNewTokens` 13/],
    ['no prompt', [], {}, /`ids` must have a prompt/],
    ['an empty prompt', [[1], []], {}, /`ids` must have a token/],
    ['a token of another vocabulary', [[1], [1, 99]], {}, /must lie in 0 … 12, got 99/],
    ['a gap in the mask', [[1, 2, 3]], { mask: [[1, 0, 1]] }, /a gap in row 0\. Pad before or after/],
    ['top-k without a temperature', [[1]], { topK: 3 }, /`topK` and `topP` need a `temperature`/],
    ['beams with a temperature', [[1]], { numBeams: 2, temperature: 1 }, /exclude each other/],
    ['a share above 1', [[1]], { topP: 1.5, temperature: 1 }, /`topP` must be a number above 0, at most 1/],
    ['an option that is none', [[1]], { maxLength: 3 }, /no option `maxLength`/],
    [
      'a stop token of no vocabulary',
      [[1]],
      { stopTokens: [13] },
      /`stopTokens` must be an integer from 0 to 12/,
    ],
    ['a negative temperature', [[1]], { temperature: -1 }, /`temperature` must be a number from 0 up/],
  ])('refuses %s', async (_, prompts, options, complaint) => {
    await onCpu(async (model) => {
      const before = tf.memory().numTensors;
      await expect(model.generate(prompts, options)).rejects.toThrow(complaint);
      await expect(model.stream(prompts, options).next()).rejects.toThrow(
        'numBeams' in options ? /Use generate\(\)/ : complaint,
      );
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  test('refuses models that say nothing of the next token', async () => {
    const encoder = { ...CONFIG, is_decoder: false };
    await onCpu(async (model) => {
      await expect(model.generate([[1]])).rejects.toThrow(/ReformerForMaskedLM does not say what comes next/);
      expect(() => model.stream([[1]])).toThrow(/Reformer\.stream/);
    }, encoder);
  });
});

/** The best text of all that there are, by whole forward passes. */
async function bestOfAll(
  model: Reformer,
  prompt: readonly number[],
  { stop, most, lengthPenalty }: { stop: number; most: number; lengthPenalty: number },
): Promise<{ tokens: number[]; sum: number }> {
  let open = [{ tokens: [] as number[], sum: 0 }];
  const done: typeof open = [];
  for (let length = 1; length <= most; length++) {
    const longer: typeof open = [];
    const values = await valuesOf(
      model.logits(
        open.map(({ tokens }) => [...prompt, ...tokens]),
        { window: 'bucket' },
      ),
    );
    const L = prompt.length + length - 1;
    for (const [b, { tokens, sum }] of open.entries()) {
      const log = logSoftmax(values.subarray((b * L + L - 1) * 3, (b * L + L) * 3));
      for (const token of [0, 1, 2]) {
        const text = { tokens: [...tokens, token], sum: sum + at(log, token) };
        (token === stop || length === most ? done : longer).push(text);
      }
    }
    open = longer;
  }
  const score = ({ tokens, sum }: (typeof done)[number]) => sum / tokens.length ** lengthPenalty;
  return done.reduce((a, b) => (score(b) > score(a) ? b : a));
}
