import type { Tensor } from '@tensorflow/tfjs-core';
import { AttentionDoor, MAX_LENGTH } from '../door.js';
import { DEFAULTS, type LshAttentionOptions } from '../options.js';
import type { Settings, Shape } from '../settings.js';
import type { LshCacheAppendOptions, LshCacheOptions } from './options.js';

const NAMES: Record<keyof LshCacheOptions, true> = {
  numHashes: true,
  numBuckets: true,
  chunkLength: true,
  duplicates: true,
  scale: true,
  seed: true,
  rotation: true,
  rotations: true,
  maxLength: true,
};
const APPEND_NAMES: Record<keyof LshCacheAppendOptions, true> = { mask: true };

const ONE_TOKEN: Shape = { B: 1, H: 1, L: 1, D: 1, E: 1 };

/** What a cache was made with, checked as far as that goes without tensors. */
export interface CacheSettings {
  /** For `lshBuckets` and the rest of the op; `numBuckets` filled in. */
  readonly options: LshAttentionOptions;
  readonly maxLength: number;
}

/** The checks of {@link LshCache}. */
export class CacheDoor extends AttentionDoor {
  /** The options of a cache. */
  cacheSettings(given: LshCacheOptions): CacheSettings {
    this.known(given, NAMES);
    const { maxLength: most, numBuckets, ...options } = given;
    if (numBuckets === undefined && most === undefined) {
      throw this.range('`numBuckets` must be given, or a `maxLength` from which it follows.');
    }
    const maxLength = this.integer('maxLength', most ?? MAX_LENGTH, 1, MAX_LENGTH);
    const { chunkLength = DEFAULTS.chunkLength } = options;
    const factors =
      numBuckets === undefined
        ? this.settings({ ...ONE_TOKEN, L: maxLength }, { chunkLength }).factors
        : numBuckets;
    if (options.rotations !== undefined) {
      this.tensor('rotations', options.rotations, ['float32']);
    }
    // Heads and depth are not known yet: the rotations' own stand for them.
    const [H = 1, D = 1] = options.rotations?.shape ?? [];
    const all = { ...options, numBuckets: factors };
    this.settings({ ...ONE_TOKEN, H, D }, all);
    return { options: all, maxLength };
  }

  /** The sizes of new tokens, which must be those of the tokens before; L is the number of the new ones. */
  newTokens(qk: Tensor, v: Tensor, before: Omit<Shape, 'L'> | undefined): Shape {
    const shape = this.shape(qk, v);
    const { B, H, L, D, E } = shape;
    if (B * H * L === 0) {
      throw this.range(`\`qk\` must hold one token at least, got [${qk.shape}]. Leave the call out.`);
    }
    if (before !== undefined) {
      const differ = (['B', 'H', 'D', 'E'] as const).filter((letter) => shape[letter] !== before[letter]);
      if (differ.length > 0) {
        throw this.range(
          `the cache holds tokens of B=${before.B}, H=${before.H}, D=${before.D}, E=${before.E}, got B=${B}, H=${H}, D=${D}, E=${E}. ${
            differ.includes('B') ? 'Change the batch with reorder(), or ' : ''
          }${differ.includes('B') ? 'start' : 'Start'} anew with reset().`,
        );
      }
    }
    return shape;
  }

  appendSettings(
    shape: Shape,
    { options, maxLength }: CacheSettings,
    given: LshCacheAppendOptions,
    length: number,
  ): Settings {
    this.known(given, APPEND_NAMES);
    if (length + shape.L > maxLength) {
      throw this.range(
        `the length must be at most ${maxLength} (\`maxLength\`), got ${length} + ${shape.L}. Make a cache of a larger \`maxLength\`, or start anew with reset().`,
      );
    }
    return this.settings(shape, { ...options, ...(given.mask && { mask: given.mask }) });
  }

  /** The batch entries to keep, in a list or in a tensor of which `values` are at hand or not. */
  entries(indices: unknown, values: ArrayLike<number> | undefined, B: number): void {
    if (!Array.isArray(indices)) {
      this.tensor('indices', indices as Tensor, ['int32']);
      if ((indices as Tensor).rank !== 1) {
        throw this.range(
          `\`indices\` must have the shape [B], got [${(indices as Tensor).shape}]. Reshape it.`,
        );
      }
    }
    if ((Array.isArray(indices) ? indices.length : (indices as Tensor).size) === 0) {
      throw this.range('`indices` must name one batch entry at least, got none. Use reset() to drop all.');
    }
    for (let i = 0; values !== undefined && i < values.length; i++) {
      this.integer(`indices[${i}]`, values[i] as number, 0, B - 1);
    }
  }
}
