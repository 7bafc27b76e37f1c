import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { onWebGPU, valuesAtHand } from '../../webgpu/backend.js';
import { detach } from '../detach.js';
import { type AttentionWithLse, lshAttentionWithLse, lshBuckets } from '../lshAttention.js';
import type { Shape } from '../settings.js';
import { BufferedState } from './buffers.js';
import { CacheDoor, type CacheSettings } from './door.js';
import type { LshCacheAppendOptions, LshCacheOptions } from './options.js';
import { SegmentedState } from './segments.js';
import type { CacheState, NewTokens } from './state.js';

/** A first append of at least this many tokens goes through the forward pass. */
const LONG_PREFIX = 64;

/** The tokens seen so far, and where they are. */
interface Held {
  readonly state: CacheState;
  /** The backend that the tensors live on. */
  readonly backend: unknown;
  readonly backendName: string;
  readonly shape: Omit<Shape, 'L'>;
  readonly length: number;
}

/**
 * Attention token by token: what `lshAttention(qk, v, { window: 'bucket', causal: true })` of the same
 * options gives at each position, to rounding, without doing the earlier ones again. A new token
 * attends to the tokens before it that share a bucket with it in any round, and to itself only when
 * there are none.
 *
 * On the `webgpu` backend the tokens of a bucket are a list, and a step costs what it sees; elsewhere
 * it compares the buckets of all tokens. The cache has no gradient. It owns tensors: dispose it.
 *
 * A call that throws leaves the cache as it was.
 */
export class LshCache {
  private readonly settings: CacheSettings;
  private held: Held | undefined;
  private disposed = false;

  /** @throws RangeError, TypeError or Error, naming the option, its rule and a way out. */
  constructor(options: LshCacheOptions) {
    const settings = new CacheDoor('LshCache').cacheSettings(options);
    const { rotations } = settings.options;
    this.settings = rotations
      ? { ...settings, options: { ...settings.options, rotations: tf.keep(tf.clone(rotations)) } }
      : settings;
  }

  /** How many tokens the cache holds, padding included. */
  get length(): number {
    return this.held?.length ?? 0;
  }

  /** The factors of N, the number of buckets of a round: for calls of the op that are to agree. */
  get numBuckets(): readonly number[] {
    return [this.settings.options.numBuckets ?? []].flat();
  }

  /**
   * Takes in the next tokens, one or many: a prompt in one call or several, then a token at a time.
   *
   * @param qk `[B, H, T, D]`, `[H, T, D]` or `[T, D]`, float32: queries and keys. B, H and D stay those of
   *   the first call (but see {@link reorder}).
   * @param v the same but for the last axis: values.
   * @returns a tensor of the shape of `v`: the attention at the new positions.
   * @throws RangeError, TypeError or Error, before any work, naming the option, its rule and a way out.
   */
  append(qk: Tensor, v: Tensor, options: LshCacheAppendOptions = {}): Tensor {
    const door = this.enter('LshCache.append');
    return door.tidy(() => this.take(door, qk, v, options).out);
  }

  /** {@link append} with the log-sum-exp over all keys seen: the shape of `v` without its last axis. */
  appendWithLse(qk: Tensor, v: Tensor, options: LshCacheAppendOptions = {}): AttentionWithLse {
    const door = this.enter('LshCache.append');
    return door.tidy(() => ({ ...this.take(door, qk, v, options) }));
  }

  /**
   * Makes entry b of the batch what entry `indices[b]` is now, as a beam search does after each step.
   * An entry may be named often or never, and the batch may grow or shrink.
   *
   * @param indices whole numbers from 0 to below B, as a list or an int32 tensor. On WebGPU those of a
   *   tensor whose values are on the GPU are not checked: the nearest entry is taken.
   * @throws RangeError or TypeError for other indices; Error for a cache that is empty or disposed.
   */
  reorder(indices: readonly number[] | Tensor): void {
    const door = this.enter('LshCache.reorder');
    const { held } = this;
    if (held === undefined) {
      throw door.failure('the cache is empty. Append tokens first.');
    }
    const isList = Array.isArray(indices);
    door.entries(indices, isList ? indices : undefined, held.shape.B);
    door.tidy(() => {
      const tensor = isList ? tf.tensor1d(indices as number[], 'int32') : (indices as tf.Tensor1D);
      if (!isList) {
        door.entries(tensor, valuesAtHand(tensor), held.shape.B);
      }
      held.state.reorder(tensor);
      this.held = { ...held, shape: { ...held.shape, B: tensor.size } };
    });
  }

  /** Forgets all tokens. The next ones may have another shape, and come on another backend. */
  reset(): void {
    this.enter('LshCache.reset', false);
    this.drop();
  }

  /** Frees the tensors. Nothing can be appended afterwards. */
  dispose(): void {
    this.drop();
    if (!this.disposed) {
      this.settings.options.rotations?.dispose();
    }
    this.disposed = true;
  }

  private take(door: CacheDoor, qk: Tensor, v: Tensor, options: LshCacheAppendOptions): AttentionWithLse {
    const shape = door.newTokens(qk, v, this.held?.shape);
    const settings = door.appendSettings(shape, this.settings, options, this.length);
    const { B, H, L, D, E } = shape;
    const tokens = {
      ...{ shape, settings },
      qk: tf.reshape(detach(qk), [B, H, L, D]),
      v: tf.reshape(detach(v), [B, H, L, E]),
    };
    const buckets = lshBuckets(tokens.qk, { ...this.settings.options, ...options });
    const { state, ...home } = this.held ?? {
      state: onWebGPU() ? new BufferedState(this.settings.maxLength) : new SegmentedState(),
      backend: tf.backend(),
      backendName: tf.getBackend(),
    };
    const { out, lse } = this.into(state, { ...tokens, buckets });
    this.held = { ...home, state, shape: { B, H, D, E }, length: this.length + L };
    return { out: tf.reshape(out, v.shape), lse: tf.reshape(lse, v.shape.slice(0, -1)) };
  }

  /** Tokens into a state, and their attention. */
  private into(state: CacheState, tokens: NewTokens): AttentionWithLse {
    const isFirst = this.held === undefined;
    try {
      // With nothing before them, many tokens are the whole forward pass, which is made for many.
      if (isFirst && tokens.shape.L >= LONG_PREFIX) {
        const { rotations: _, ...shared } = this.settings.options;
        const options = { ...shared, window: 'bucket', causal: true, buckets: tokens.buckets } as const;
        const whole = lshAttentionWithLse(tokens.qk, tokens.v, options);
        state.append(tokens, false);
        return whole;
      }
      const [out, lse] = state.append(tokens, true) as [Tensor, Tensor];
      return { out, lse };
    } catch (error) {
      if (isFirst) {
        state.dispose();
      }
      throw error;
    }
  }

  /** Refuses work after dispose, or away from the tensors. */
  private enter(name: string, works = true): CacheDoor {
    const door = new CacheDoor(name);
    if (this.disposed) {
      throw door.failure('the cache is disposed. Make a new one.');
    }
    if (!works) {
      return door;
    }
    door.goesOn(tf.backend());
    if (this.held !== undefined && this.held.backend !== tf.backend()) {
      const { backendName } = this.held;
      throw door.failure(
        backendName === tf.getBackend()
          ? `the backend '${backendName}' has been replaced since the first call, and its tensors are gone. Start anew with reset().`
          : `the cache lives on the backend '${backendName}', and the current one is '${tf.getBackend()}'. Go back with tf.setBackend('${backendName}'), or start anew with reset().`,
      );
    }
    return door;
  }

  private drop(): void {
    this.held?.state.dispose();
    this.held = undefined;
  }
}
