import type { Tensor } from '@tensorflow/tfjs-core';
import type { Door } from '../door.js';
import { derivedSeed } from '../hashing/random.js';
import type { Call } from './call.js';
import type { ReformerConfig } from './config.js';
import type { Rows } from './inputs.js';

/** Options of a model's calls. */
export interface ReformerCallOptions {
  /** `[B, L]`, bool or int32, or rows of 0 and 1: 0 = padding, which no token sees, on either side. @default none */
  readonly mask?: Rows;
  /**
   * Rows `[B][L]` of numbers: tokens of a row with the same number are one text, and see each other alone. A text's
   * positions begin at 0, and its outputs are those that it has by itself. @default each row is one text
   */
  readonly segments?: readonly (readonly number[])[];
  /** R, in place of the configuration's: more rounds come closer to exact attention. */
  readonly numHashes?: number;
  /** What LSH layers see, in place of the configuration's `lsh_window`. */
  readonly window?: ReformerConfig['lsh_window'];
  /** `[H or 1, D, R, Σf/2]` float32 for each LSH layer, or one for all, in place of a draw. */
  readonly rotations?: Tensor | readonly Tensor[];
  /** Whether to drop as the configuration says, and to hash and drop in every call anew. @default false */
  readonly training?: boolean;
  /** Of rotations and dropout: an unsigned 32-bit integer. @default `hash_seed`; in training, a seed of every step */
  readonly seed?: number;
  /** Whether a loss keeps all layers' activations, and does not recompute them: faster, with more memory. @default false */
  readonly keepActivations?: boolean;
}

const NAMES: Record<keyof ReformerCallOptions, true> = {
  mask: true,
  segments: true,
  numHashes: true,
  window: true,
  rotations: true,
  training: true,
  seed: true,
  keepActivations: true,
};

/** What the options say about every part of a call. */
export interface CallSettings extends Omit<Call, 'mask' | 'numBuckets'> {
  readonly keepActivations: boolean;
}

/** The options of a call, filled in and checked; `step` counts calls in training. */
export function readCall(
  door: Door,
  options: ReformerCallOptions,
  config: ReformerConfig,
  step: number,
): CallSettings {
  door.known(options, NAMES);
  const training = door.flag('training', options.training ?? false);
  const base = (config.hash_seed ?? 0) >>> 0; // transformers takes any integer
  const seed = options.seed ?? (training ? derivedSeed(base, step) : base);
  const { rotations: given } = options;
  const rotations = given === undefined ? undefined : Array.isArray(given) ? given : [given as Tensor];
  const layers = config.attn_layers.filter((kind) => kind === 'lsh').length;
  if (rotations !== undefined && rotations.length !== 1 && rotations.length !== layers) {
    throw door.range(
      `\`rotations\` must be one tensor, or one for each of the ${layers} LSH layers, got ${rotations.length}.`,
    );
  }
  return {
    numHashes: door.integer('numHashes', options.numHashes ?? config.num_hashes, 1),
    window: door.oneOf('window', options.window ?? config.lsh_window, ['chunk', 'bucket', 'all']),
    training,
    seed: door.integer('seed', seed, 0, 2 ** 32 - 1),
    keepActivations: door.flag('keepActivations', options.keepActivations ?? false),
    ...(rotations && { rotations }),
  };
}
