import type { Scalar, Tensor, Tensor2D, Tensor3D, Variable } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door } from '../door.js';
import { anyHashes, bucketsFor, paddedLength } from './buckets.js';
import { type Call, Weights } from './call.js';
import { type ReformerConfig, readConfig } from './config.js';
import { reconstructionDrift } from './drift.js';
import { Encoder } from './encoder.js';
import { type GeneratedTokens, generate, stream } from './generate/generate.js';
import type { DecodingModel } from './generate/modelCache.js';
import type { Generated, GenerateOptions } from './generate/options.js';
import { classify, classLoss, decoderOf, languageLoss } from './head.js';
import { type Batch, labelsOf, maskOf, padded, type Rows, tokensOf } from './inputs.js';
import { maxLength } from './lengths.js';
import { linear } from './linear.js';
import { type CallSettings, type ReformerCallOptions, readCall } from './options.js';
import { baseName } from './parameters.js';
import type { ReversibleLayer } from './reversible.js';
import { groupSegments, type Pack, repack, unpack } from './segments.js';
import { BIAS_AGAIN, checkGiven, checkNames, makeVariables } from './variables.js';

/** How a model's weights come to be. */
export interface ReformerOptions {
  /** Draws the weights: an unsigned 32-bit integer. @default 0 */
  readonly seed?: number;
  /** The weights by transformers' names, of its shapes, in place of a draw. They are borrowed and copied. */
  readonly weights?: ReadonlyMap<string, Tensor>;
  /** The variables themselves, of such names and shapes. They stay their owner's: `dispose` leaves them. */
  readonly variables?: ReadonlyMap<string, Variable>;
}

const NAMES: Record<keyof ReformerOptions, true> = { seed: true, weights: true, variables: true };

/** One pass through the layers. */
interface Pass {
  /** `[B, L, 2·hidden_size]` */
  readonly hidden: Tensor;
  readonly call: Call;
}

/** What is about to enter the first layer. */
interface Start {
  /** `[B, padded L, hidden_size]` */
  readonly x: Tensor;
  readonly call: Call;
}

/**
 * A Reformer (Kitaev, Kaiser and Levskaya 2020, arXiv 2001.04451): tokens and positions, reversible layers of LSH
 * or local attention and feed-forward parts, a layer norm over both residual streams, a head. By default it computes
 * what transformers computes; what departs from that says so in the configuration. It runs on every backend of tfjs.
 */
export class Reformer {
  /** Every parameter by transformers' name, a trainable variable of transformers' shape: matrices are `[out, in]`. */
  readonly weights: ReadonlyMap<string, Variable>;
  /**
   * Calls in training so far. With `hash_seed` it decides what the next one hashes by and drops; set it to go on
   * with a run where it was left.
   */
  trainingStep = 0;

  /** The model without its head, for those who run its parts in their own way. */
  readonly encoder: Encoder;
  private settings: ReformerConfig;
  private readonly all: Weights;
  private readonly owned: boolean;

  /**
   * @param config a configuration, or an object with the fields of a `config.json` (see {@link readConfig}). Where it
   * has no `lm_head_bias`, weights that transformers 4 saved are known by their `lm_head.decoder.bias`.
   * @throws RangeError or TypeError naming a field of the configuration, or weights that are missing, extra or of
   * another shape.
   */
  constructor(config: ReformerConfig | object, options: ReformerOptions = {}) {
    const door = new Door('Reformer');
    door.known(options, NAMES);
    const { seed = 0, weights, variables } = options;
    door.integer('seed', seed, 0, 2 ** 32 - 1);
    const named = weights && checkNames(door, 'weights', weights);
    this.settings = readConfig(named?.has(BIAS_AGAIN) ? { lm_head_bias: true, ...config } : config);
    this.owned = variables === undefined;
    for (const [option, given] of Object.entries({ weights, variables })) {
      if (given !== undefined) {
        checkGiven(door, option, this.settings, given);
      }
    }
    this.weights = variables ?? makeVariables(this.settings, seed, weights);
    this.all = new Weights(this.weights);
    this.encoder = new Encoder(this.settings, this.all.from(baseName(this.settings)));
  }

  /** `num_buckets` is set by the first sequence that is hashed, where it was null. */
  get config(): ReformerConfig {
    return this.settings;
  }

  /** The layers, from the first to the last. */
  get layers(): readonly ReversibleLayer[] {
    return this.encoder.layers;
  }

  /**
   * What the head reads, `[B, L, 2·hidden_size]`: the residual streams side by side, normalised.
   *
   * @param ids `[B, L]` int32, or rows of numbers.
   * @throws RangeError or TypeError naming the argument or option, its rule and a way out.
   */
  hidden(ids: Rows, options: ReformerCallOptions = {}): Tensor3D {
    const door = new Door('Reformer.hidden');
    return door.tidy(() => this.eachToken(door, ids, options, (hidden) => hidden));
  }

  /**
   * A language model's logits `[B, L, vocab_size]`, or a classifier's `[B, num_labels]`.
   *
   * @param ids `[B, L]` int32, or rows of numbers.
   * @throws RangeError or TypeError naming the argument or option, its rule and a way out.
   */
  logits(ids: Rows, options: ReformerCallOptions = {}): Tensor {
    const door = this.doorOf('logits', 'Use hidden().');
    return door.tidy(() => {
      if (this.classifies) {
        return this.classes(door, ids, options);
      }
      const { weight, bias } = decoderOf(this.settings, this.all);
      return this.eachToken(door, ids, options, (hidden) => linear(hidden, weight, bias));
    });
  }

  /**
   * The mean cross-entropy, in nats, of a language model's labels `[B, L]`: a decoder is asked at each token for the
   * next one's label. A label below 0 does not count, nor does padding, nor what comes after the end of a segment;
   * where nothing counts, the loss is 0. A classifier's labels are int32 `[B]` (cross-entropy), float32 `[B, num_labels]`
   * (binary cross-entropy of each) or, for one class, float32 `[B]` (mean squared error).
   *
   * It is differentiable in the weights, once: `optimizer.minimize(() => model.loss(ids, ids, { training: true }))`.
   * The layers' activations are recomputed from their outputs, and logits made for a slice of tokens at a time.
   *
   * @throws RangeError or TypeError naming the argument or option, its rule and a way out.
   */
  loss(ids: Rows, labels: Rows | readonly number[], options: ReformerCallOptions = {}): Scalar {
    const door = this.doorOf('loss', 'Make a loss of hidden().');
    return door.tidy(() => {
      if (this.classifies) {
        return classLoss(this.classes(door, ids, options), labels as Tensor | readonly number[], door);
      }
      const { batch, packs, settings } = this.open(door, ids, options);
      const wanted = labelsOf(door, labels as Rows, batch, this.settings.vocab_size);
      const parts = packs.map(({ batch: own, group }) => {
        const targets = group === undefined ? wanted : unpack(wanted, group, -100);
        const { hidden } = this.pass(door, own, settings);
        return languageLoss(hidden, targets, own.mask, this.settings, this.all);
      });
      // Not by addN, which binds more tensors at once than WebGPU's devices promise.
      const total = (scalars: Scalar[]) => tf.sum(tf.stack(scalars));
      const counted = total(parts.map(({ count }) => count));
      return tf.div(total(parts.map(({ sum }) => sum)), tf.maximum(counted, 1)) as Scalar;
    });
  }

  /**
   * Goes on with prompts, token by token: what `logits(ids, { window: 'bucket' })` says of the next token is asked for
   * without computing earlier ones again. Each text's positions begin at 0, whatever the lengths of the others.
   *
   * @param ids prompts as rows of numbers, of any lengths, or `[B, L]` int32.
   * @returns the new tokens of each, also of a call that its `signal` has ended.
   * @throws RangeError or TypeError naming the argument or option, its rule and a way out; Error for a model that is no
   * decoder with a language model's head.
   */
  async generate(ids: Rows, options: GenerateOptions = {}): Promise<Generated> {
    return await generate(this.decoding('generate'), ids, options);
  }

  /**
   * {@link generate} as it goes: `for await (const [token] of model.stream([prompt])) …`. Each step has a token of each
   * text, or undefined for one that has ended. Leaving the loop ends the call, and gives back what it held.
   */
  stream(ids: Rows, options: GenerateOptions = {}): AsyncGenerator<GeneratedTokens, Generated, undefined> {
    return stream(this.decoding('stream'), ids, options);
  }

  /**
   * How exact training's recomputation is: for each layer, the first one first, the largest difference between its
   * inputs as they were and as they follow from the last layer's outputs.
   */
  async reconstructionDrift(ids: Rows, options: ReformerCallOptions = {}): Promise<Float32Array> {
    const door = new Door('Reformer.reconstructionDrift');
    const drift = door.tidy(() => {
      const { batch, settings } = this.open(door, ids, options);
      const { x, call } = this.start(door, batch, settings);
      return reconstructionDrift(x, this.layers, call);
    });
    try {
      return (await door.values(drift)) as Float32Array;
    } finally {
      drift.dispose();
    }
  }

  /** Gives the weights back. */
  dispose(): void {
    if (this.owned) {
      tf.dispose([...this.weights.values()]);
    }
  }

  private get classifies(): boolean {
    return this.settings.architectures[0] === 'ReformerForSequenceClassification';
  }

  private decoding(name: string): DecodingModel {
    const { settings: config, encoder } = this;
    const door = new Door(`Reformer.${name}`);
    this.usable(door);
    if (config.architectures[0] !== 'ReformerModelWithLMHead') {
      throw door.failure(
        `a ${config.architectures[0]} does not say what comes next. Make a ReformerModelWithLMHead, with \`is_decoder\`.`,
      );
    }
    const bucketsOf = (length: number) => this.bucketsOf(length, 'bucket');
    return { config, encoder, decoder: decoderOf(config, this.all), bucketsOf };
  }

  /** Refuses weights that went with their device. */
  private usable(door: Door): void {
    for (const [name, weight] of this.weights) {
      door.usable(name, weight);
    }
  }

  private doorOf(name: string, wayOut: string): Door {
    const door = new Door(`Reformer.${name}`);
    if (this.settings.architectures[0] === 'ReformerModel') {
      throw door.failure(`a ReformerModel has no head. ${wayOut}`);
    }
    return door;
  }

  private classes(door: Door, ids: Rows, options: ReformerCallOptions): Tensor {
    if (options.segments !== undefined) {
      throw door.range('`segments` are for language models: a row has one class. Give each text a row.');
    }
    const { batch, settings } = this.open(door, ids, options);
    const { hidden, call } = this.pass(door, batch, settings);
    return classify(hidden, this.settings, this.all, call);
  }

  /** What a head makes of every token, in the order in which the tokens came. */
  private eachToken(
    door: Door,
    ids: Rows,
    options: ReformerCallOptions,
    head: (hidden: Tensor) => Tensor,
  ): Tensor3D {
    const { batch, packs, settings } = this.open(door, ids, options);
    const results = packs.map((pack) => head(this.pass(door, pack.batch, settings).hidden));
    return repack(results, packs, batch.ids.shape) as Tensor3D;
  }

  /** Checks what a call is given, and cuts packed rows into texts. */
  private open(door: Door, ids: Rows, options: ReformerCallOptions) {
    this.usable(door);
    const settings = readCall(door, options, this.settings, this.trainingStep);
    const tokens = tokensOf(door, 'ids', ids, this.settings.vocab_size);
    const mask = options.mask === undefined ? undefined : maskOf(door, options.mask, tokens.shape);
    const batch: Batch = { ids: tokens, ...(mask && { mask }) };
    const lengthOf = (length: number) => paddedLength(length, this.settings, settings.window);
    const packs: Pack[] =
      options.segments === undefined
        ? [{ batch }]
        : groupSegments(door, options.segments, tokens.shape, lengthOf).map((group) => ({
            group,
            batch: {
              ids: unpack(tokens, group, this.settings.pad_token_id ?? 0),
              mask: unpack(mask ?? (tf.onesLike(tokens) as Tensor2D), group, 0),
            },
          }));
    this.trainingStep += Number(settings.training);
    return { batch, packs, settings };
  }

  /** Sequences through the layers. */
  private pass(door: Door, batch: Batch, settings: CallSettings): Pass {
    const [B, L] = batch.ids.shape;
    const { x, call } = this.start(door, batch, settings);
    const hidden = this.encoder.finish(this.encoder.run(x, call, settings.keepActivations), call);
    const width = hidden.shape[2] as number;
    return { hidden: hidden.shape[1] === L ? hidden : tf.slice(hidden, [0, 0, 0], [B, L, width]), call };
  }

  private start(door: Door, batch: Batch, { keepActivations, ...settings }: CallSettings): Start {
    const L = batch.ids.shape[1];
    const most = maxLength(this.settings);
    if (L > most) {
      const { axial_pos_embds, axial_pos_shape } = this.settings;
      throw door.range(
        `a sequence must have at most ${most} tokens, for which there are positions, got ${L}. Cut it, or make a model of ${axial_pos_embds ? `a larger \`axial_pos_shape\` than [${axial_pos_shape}]` : 'larger `max_position_embeddings`'}.`,
      );
    }
    const length = paddedLength(L, this.settings, settings.window);
    const whole = padded(batch, length, this.settings.pad_token_id ?? 0);
    const numBuckets = this.bucketsOf(length, settings.window);
    const call: Call = { ...settings, numBuckets, ...(whole.mask && { mask: whole.mask }) };
    return { x: this.encoder.embed(whole, call), call };
  }

  /** The configuration's buckets; where it has none, those of the first length that is hashed, from then on. */
  private bucketsOf(length: number, window: ReformerConfig['lsh_window']): number | readonly number[] {
    const num_buckets = this.settings.num_buckets ?? bucketsFor(length, this.settings);
    if (anyHashes(length, this.settings, window)) {
      this.settings = { ...this.settings, num_buckets };
    }
    return num_buckets;
  }
}
