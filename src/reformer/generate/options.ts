import type { Tensor } from '@tensorflow/tfjs-core';
import { type Door, show } from '../../door.js';
import type { ReformerConfig } from '../config.js';
import type { Rows } from '../inputs.js';
import { maxLength } from '../lengths.js';
import type { Sampling } from './sampling.js';

/** Why a text ended: by a stop token, at its most tokens, or where it was aborted. */
export type Ending = 'stop' | 'length' | 'aborted';

/** What {@link Reformer.generate} has made of each prompt. */
export interface Generated {
  /** The new tokens; a stop token is the last. */
  readonly tokens: readonly (readonly number[])[];
  /** Why each text ended. */
  readonly endings: readonly Ending[];
  /** The sum of the new tokens' log-probabilities, in nats, as the model has them: without temperature, top-k, top-p. */
  readonly logProbabilities: readonly number[];
}

/** How far a generation is. */
export interface GenerationProgress {
  /** Tokens of the longest prompt. */
  readonly promptTokens: number;
  /** How many of them are read. */
  readonly readTokens: number;
  /** Tokens that the longest text has got. */
  readonly newTokens: number;
}

/** Options of {@link Reformer.generate} and {@link Reformer.stream}. */
export interface GenerateOptions {
  /** The most new tokens of a text. @default as many as there are positions left, at most 128 */
  readonly maxNewTokens?: number;
  /** What logits are divided by before a token is drawn; 0 takes the likeliest token. @default 0 */
  readonly temperature?: number;
  /** Draws from so many of the likeliest tokens. Needs a `temperature`. @default all */
  readonly topK?: number;
  /** Draws from the likeliest tokens that together have this probability, in (0, 1]. Needs a `temperature`. @default 1 */
  readonly topP?: number;
  /** Of what is drawn: an unsigned 32-bit integer. The same seed gives the same tokens. @default 0 */
  readonly seed?: number;
  /** Texts that are followed at once, of which the best is taken; `temperature` must be 0. @default 1 */
  readonly numBeams?: number;
  /** Beams are ranked by log-probability / tokens^lengthPenalty: above 0 favours long texts. @default 1 */
  readonly lengthPenalty?: number;
  /** Tokens that end a text. @default the configuration's `eos_token_id` */
  readonly stopTokens?: readonly number[];
  /** `[B, L]`: 0 = padding, before or after a prompt. @default none */
  readonly mask?: Rows;
  /** Tokens of the prompts that go through the model at once: less takes less memory. @default 1024 */
  readonly sliceLength?: number;
  /** R, in place of the configuration's. */
  readonly numHashes?: number;
  /** `[H or 1, D, R, Σf/2]` float32 for each LSH layer, or one for all, in place of a draw. */
  readonly rotations?: Tensor | readonly Tensor[];
  /** Of the rotations: an unsigned 32-bit integer. @default the configuration's `hash_seed` */
  readonly hashSeed?: number;
  /** Ends all texts where they are; what they have got is returned. */
  readonly signal?: AbortSignal;
  /** Called after each slice of the prompts and each new token. */
  readonly onProgress?: (progress: GenerationProgress) => void;
}

const NAMES: Record<keyof GenerateOptions, true> = {
  maxNewTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  seed: true,
  numBeams: true,
  lengthPenalty: true,
  stopTokens: true,
  mask: true,
  sliceLength: true,
  numHashes: true,
  rotations: true,
  hashSeed: true,
  signal: true,
  onProgress: true,
};

/** New tokens where nobody says how many. */
const DEFAULT_NEW_TOKENS = 128;
const DEFAULT_SLICE = 1024;

/** The options that say how tokens are chosen, filled in and checked. */
export interface GenerateSettings extends Sampling {
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly stopTokens: ReadonlySet<number>;
  readonly sliceLength: number;
}

/** @param longest tokens of the longest prompt. */
export function readGenerate(
  door: Door,
  options: GenerateOptions,
  config: ReformerConfig,
  longest: number,
): GenerateSettings {
  door.known(options, NAMES);
  const { vocab_size, eos_token_id } = config;
  const left = roomFor(door, longest, config);
  const ends = options.stopTokens ?? [eos_token_id ?? []].flat().filter((token) => token < vocab_size);
  if (!Array.isArray(ends)) {
    throw door.kind('`stopTokens` must be a list of tokens. Give [] for none.');
  }
  const settings = {
    maxNewTokens: door.integer('maxNewTokens', options.maxNewTokens ?? Math.min(left, DEFAULT_NEW_TOKENS), 1),
    seed: door.integer('seed', options.seed ?? 0, 0, 2 ** 32 - 1),
    numBeams: door.integer('numBeams', options.numBeams ?? 1, 1),
    lengthPenalty: door.finite('lengthPenalty', options.lengthPenalty ?? 1),
    stopTokens: new Set(ends.map((token: number) => door.integer('stopTokens', token, 0, vocab_size - 1))),
    sliceLength: door.integer('sliceLength', options.sliceLength ?? DEFAULT_SLICE, 1),
    ...readSampling(door, options),
  };
  if (settings.maxNewTokens > left) {
    throw door.range(
      `there are ${longest + left} positions, and a prompt of ${longest} tokens leaves ${left}, got \`maxNewTokens\` ${settings.maxNewTokens}. Cut the prompt, or ask for fewer.`,
    );
  }
  if (settings.numBeams > 1 && settings.temperature > 0) {
    throw door.range(
      '`numBeams` and `temperature` exclude each other: beams follow the likeliest tokens. Leave one out.',
    );
  }
  return settings;
}

function roomFor(door: Door, longest: number, config: ReformerConfig): number {
  const left = maxLength(config) - longest;
  if (left < 1) {
    throw door.range(
      `a prompt must have fewer tokens than there are positions, ${maxLength(config)}, got ${longest}. Cut off its start.`,
    );
  }
  return left;
}

function readSampling(door: Door, { temperature = 0, topK, topP }: GenerateOptions): Sampling {
  if (door.finite('temperature', temperature) < 0) {
    throw door.range(`\`temperature\` must be a number from 0 up, got ${temperature}.`);
  }
  if (temperature === 0 && (topK !== undefined || topP !== undefined)) {
    throw door.range(
      '`topK` and `topP` need a `temperature` above 0: at 0 the likeliest token is taken. Try 1.',
    );
  }
  if (topP !== undefined && !(typeof topP === 'number' && topP > 0 && topP <= 1)) {
    throw door.range(`\`topP\` must be a number above 0, at most 1, got ${show(topP)}.`);
  }
  return {
    temperature,
    ...(topK !== undefined && { topK: door.integer('topK', topK, 1) }),
    ...(topP !== undefined && { topP }),
  };
}
