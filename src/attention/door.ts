/** The rules of the attentions: shapes in letters, and options filled in and checked against them. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { Door, show } from '../door.js';
import type { VectorFamily } from '../hashing/family.js';
import { givenFactors, givenFamily } from '../hashing/given.js';
import { signCount } from '../hashing/hadamard.js';
import { type DenseSettings, type DenseShape, type MaskStrides, maskStrides } from './dense/settings.js';
import {
  DEFAULTS,
  type DenseAttentionOptions,
  type LocalAttentionOptions,
  type LshAttentionOptions,
  type Scale,
  type ScaledDotProductOptions,
} from './options.js';
import { type BucketPlan, bucketPlan, type Settings, type Shape } from './settings.js';

/** Largest key and value depth. */
export const MAX_DEPTH = 256;
/** Largest length: the range in which float32, the common currency of tfjs, counts exactly. */
export const MAX_LENGTH = 2 ** 24;
/** Most rounds: more are dense attention the long way, and would occupy a device for minutes. */
export const MAX_HASHES = 1024;
/** Most buckets of a round. */
export const MAX_BUCKETS = 2 ** 20;

const NAMES: Record<keyof LshAttentionOptions, true> = {
  numHashes: true,
  numBuckets: true,
  chunkLength: true,
  chunksBefore: true,
  chunksAfter: true,
  causal: true,
  mask: true,
  window: true,
  duplicates: true,
  roundBoundary: true,
  acrossBuckets: true,
  scale: true,
  rotation: true,
  dropout: true,
  storage: true,
  seed: true,
  rotations: true,
  hash: true,
  buckets: true,
};
const DENSE_NAMES: Record<keyof DenseAttentionOptions, true> = {
  causal: true,
  mask: true,
  scale: true,
  dropout: true,
  seed: true,
};
const DOT_PRODUCT_NAMES: Record<keyof ScaledDotProductOptions, true> = DENSE_NAMES;
const LOCAL_NAMES: Record<keyof LocalAttentionOptions, true> = {
  chunkLength: true,
  chunksBefore: true,
  chunksAfter: true,
  boundary: true,
  ...DENSE_NAMES,
};

/** Options of windows of chunks. */
type Chunked = Pick<LocalAttentionOptions, 'chunkLength' | 'chunksBefore' | 'chunksAfter'>;
/** They, filled in. */
type Chunks = Pick<Settings, 'C' | 'P' | 'A'>;

/** The checks of one public function that attends. */
export class AttentionDoor extends Door {
  /** The letters of `qk [B, H, L, D]` and `v [B, H, L, E]`, or of the lower ranks. */
  shape(qk: Tensor, v: Tensor, name = 'qk'): Shape {
    const [B, H, L, D] = this.axes(name, qk);
    this.tensor('v', v, ['float32']);
    if (v.shape.slice(0, -1).join() !== qk.shape.slice(0, -1).join()) {
      throw this.range(
        `\`v\` must have the shape of \`${name}\` but for its last axis, got [${v.shape}] beside [${qk.shape}].`,
      );
    }
    return this.letters({ B, H, L, D, E: v.shape[v.rank - 1] as number }, name);
  }

  /** The letters of `q` and `k [B, H, L, D]` and `v [B, H, L, E]`, or of the lower ranks. */
  shapeOfThree(q: Tensor, k: Tensor, v: Tensor): Shape {
    const shape = this.shape(q, v, 'q');
    this.tensor('k', k, ['float32']);
    this.sameShape('k', k, q.shape, 'of `q`');
    return shape;
  }

  /** The letters of `q [B, H, L, D]`, `k [B, H, Lk, D]` and `v [B, H, Lk, E]`, or of the lower ranks. */
  shapeAcross(q: Tensor, k: Tensor, v: Tensor): DenseShape {
    const [B, H, L, D] = this.axes('q', q);
    this.axes('k', k, q);
    this.axes('v', v, q);
    const leading = q.shape.slice(0, -2);
    const [Lk, E] = v.shape.slice(-2) as [number, number];
    this.sameShape('k', k, [...leading, Lk, D], 'of `v` but for the last axis, which is that of `q`,');
    this.sameShape('v', v, [...leading, Lk, E], 'of `q` but for the last two axes,');
    this.letters({ B, H, L: Lk, D, E }, 'q');
    return { ...this.letters({ B, H, L, D, E }, 'q'), Lk };
  }

  /** The axes `[B, H, L, D]` of floats that may have fewer, and as many as `q`. */
  private axes(name: string, x: Tensor, q = x): [B: number, H: number, L: number, D: number] {
    this.tensor(name, x, ['float32']);
    const { rank, shape } = x;
    if (rank < 2 || rank > 4 || rank !== q.rank) {
      const [asMany, beside] = x === q ? ['', ''] : [', and as many axes as `q`', ` beside [${q.shape}]`];
      throw this.range(
        `\`${name}\` must have the shape [L, D], [H, L, D] or [B, H, L, D]${asMany}, got [${shape}]${beside}. Reshape it.`,
      );
    }
    return [...Array(4 - rank).fill(1), ...shape] as [number, number, number, number];
  }

  /** A shape given in letters. */
  letters(shape: Shape, queries = 'qk'): Shape {
    for (const letter of ['B', 'H', 'L'] as const) {
      this.integer(letter, shape[letter], 0);
    }
    for (const [letter, name] of [
      ['D', queries],
      ['E', 'v'],
    ] as const) {
      this.integer(letter, shape[letter], 1);
      if (shape[letter] > MAX_DEPTH) {
        throw this.range(
          `the depth ${letter} of \`${name}\` must be at most ${MAX_DEPTH}, got ${shape[letter]}. Use more heads of less depth.`,
        );
      }
    }
    if (shape.L > MAX_LENGTH) {
      throw this.range(`the length L must be at most 2^24, got ${shape.L}. Split the sequence.`);
    }
    return shape;
  }

  /** All options of LSH attention, filled in and checked against the input's shape. */
  settings(shape: Shape, options: LshAttentionOptions): Settings {
    this.known(options, NAMES);
    const { B, H, L, D } = shape;
    const family = this.hash(options, D);
    const R = this.integer(
      'numHashes',
      family?.tables ?? options.numHashes ?? DEFAULTS.numHashes,
      1,
      MAX_HASHES,
    );
    const given = this.chunks(options);
    const { P, A } = given;
    const bucketWindow = this.choice(options, 'window', ['chunk', 'bucket']) === 'bucket';
    const correct = this.choice(options, 'duplicates', ['correct', 'count']) === 'correct';
    const wrap = this.choice(options, 'roundBoundary', ['stop', 'wrap']) === 'wrap';
    if (wrap) {
      if (correct) {
        throw this.range(
          "`duplicates: 'correct'` cannot be had with `roundBoundary: 'wrap'`. Set `duplicates: 'count'` or `roundBoundary: 'stop'`.",
        );
      }
      if (bucketWindow) {
        throw this.range(
          "`roundBoundary: 'wrap'` cannot be had with `window: 'bucket'`. Set `roundBoundary: 'stop'`.",
        );
      }
      this.wrapped('roundBoundary', L, given, R);
    }
    const C = Math.min(given.C, Math.max(1, L)); // one chunk holds all, however much longer it could be
    const chunks = Math.ceil(L / C);
    const buckets = family ? { N: family.N, factors: [], F: 0 } : this.buckets(options.numBuckets, L, C);
    this.affordable('bucket ids', B * H * R * L);
    const hadamard = this.choice(options, 'rotation', ['gaussian', 'hadamard']) === 'hadamard';
    if (hadamard && options.rotations !== undefined) {
      throw this.range("`rotations` cannot be given with `rotation: 'hadamard'`. Leave one of them out.");
    }
    if (options.buckets === undefined && options.rotations === undefined && family === undefined) {
      this.affordable(
        'numbers of rotations',
        hadamard ? signCount({ H, D, R, F: buckets.F }) : H * D * R * buckets.F,
      );
    }
    const settings: Settings = {
      ...buckets,
      R,
      C,
      P: bucketWindow ? 0 : wrap ? P : Math.min(P, chunks),
      A: bucketWindow ? 0 : wrap ? A : Math.min(A, chunks),
      bucketWindow,
      correct,
      wrap,
      acrossBuckets:
        this.flag('acrossBuckets', options.acrossBuckets ?? DEFAULTS.acrossBuckets) || bucketWindow,
      scale: this.scale(options.scale, D),
      epsilon: D * 1e-6,
      ...this.common(options),
      half: this.choice(options, 'storage', ['float32', 'float16']) === 'float16',
      hadamard,
      rotationHeads: H,
      masked: options.mask !== undefined,
      hashed: options.buckets === undefined && family === undefined,
    };
    this.mask(options.mask, B, L);
    if (options.buckets !== undefined) {
      this.tensor('buckets', options.buckets, ['int32']);
      this.sameShape('buckets', options.buckets, [B, H, R, L], '[B, H, R, L]');
    }
    if (options.rotations !== undefined) {
      this.tensor('rotations', options.rotations, ['float32']);
      const heads = options.rotations.shape[0] === 1 ? 1 : H;
      this.sameShape('rotations', options.rotations, [heads, D, R, buckets.F], '[H or 1, D, R, Σf/2]');
      return { ...settings, rotationHeads: heads };
    }
    return settings;
  }

  /** All options of dense attention, filled in and checked. */
  denseSettings({ B, L, D }: Shape, options: DenseAttentionOptions): DenseSettings {
    this.known(options, DENSE_NAMES);
    this.mask(options.mask, B, L);
    return {
      sharedQk: true,
      scale: this.scale(options.scale, D),
      ...this.common(options),
      ...(options.mask && { mask: maskStrides([B, 1, 1, L]) }),
    };
  }

  /** All options of attention between two sequences, filled in and checked. */
  dotProductSettings(shape: DenseShape, options: ScaledDotProductOptions): DenseSettings {
    this.known(options, DOT_PRODUCT_NAMES);
    const mask = this.pairMask(options.mask, shape);
    return {
      sharedQk: false,
      scale: this.scale(options.scale ?? '1/sqrt(D)', shape.D),
      ...this.common(options),
      ...(mask && { mask }),
    };
  }

  /** All options of local attention, filled in and checked. */
  localSettings({ B, L, D }: Pick<Shape, 'B' | 'L' | 'D'>, options: LocalAttentionOptions) {
    this.known(options, LOCAL_NAMES);
    this.mask(options.mask, B, L);
    const chunks = this.chunks(options);
    const wrap = this.oneOf('boundary', options.boundary ?? 'stop', ['stop', 'wrap']) === 'wrap';
    if (wrap && L > chunks.C) {
      this.wrapped('boundary', L, chunks, 1);
    }
    return {
      ...chunks,
      wrap,
      scale: this.scale(options.scale ?? '1/sqrt(D)', D),
      ...this.common(options),
    };
  }

  /** One of the words that an option may be. */
  private choice<Name extends 'window' | 'duplicates' | 'roundBoundary' | 'rotation' | 'storage'>(
    options: LshAttentionOptions,
    name: Name,
    choices: readonly NonNullable<LshAttentionOptions[Name]>[],
  ) {
    return this.oneOf<NonNullable<LshAttentionOptions[Name]>>(name, options[name] ?? DEFAULTS[name], choices);
  }

  private chunks(options: Chunked): Chunks {
    const count = (name: keyof Chunked, least: number) =>
      this.integer(name, options[name] ?? DEFAULTS[name], least);
    return { C: count('chunkLength', 1), P: count('chunksBefore', 0), A: count('chunksAfter', 0) };
  }

  /** Refuses windows that go on at the other end where chunks are not whole, or are not as many. */
  private wrapped(option: 'boundary' | 'roundBoundary', L: number, { C, P, A }: Chunks, R: number): void {
    if (L % C !== 0) {
      throw this.range(
        `\`${option}: 'wrap'\` needs a length that is a multiple of \`chunkLength\`, got L=${L} and C=${C}. Pad to ${Math.ceil(L / C) * C} with a \`mask\`, or set \`${option}: 'stop'\`.`,
      );
    }
    const chunks = Math.max(1, R * (L / C));
    this.integer('chunksBefore', P, 0, chunks);
    this.integer('chunksAfter', A, 0, chunks);
  }

  /** Refuses bucket ids outside 0 … N, and tokens that are padding, N, in some rounds alone, where the values are at hand. */
  bucketValues(values: ArrayLike<number> | undefined, { L }: Shape, { N, R }: Settings): void {
    for (let i = 0; values !== undefined && i < values.length; i++) {
      const value = values[i] as number;
      const before = i % (R * L) < L ? value : (values[i - L] as number);
      if (value < 0 || value > N || (value === N) !== (before === N)) {
        throw this.range(
          `\`buckets\` must lie in 0 … ${N} (${N}, in every round, for padding), got ${value} at element ${i}. Give the \`numBuckets\` that they were made with.`,
        );
      }
    }
  }

  /** A family of hash functions in place of rotations, if one is given. */
  private hash(options: LshAttentionOptions, D: number): VectorFamily | undefined {
    if (options.hash === undefined) {
      return undefined;
    }
    const hash = givenFamily(this, 'hash', options.hash, D);
    for (const name of ['numHashes', 'numBuckets', 'rotation', 'rotations', 'buckets'] as const) {
      if (options[name] !== undefined) {
        throw this.range(
          `\`${name}\` cannot be given with \`hash\`, which decides it. Leave one of them out.`,
        );
      }
    }
    if (hash.N > MAX_BUCKETS) {
      throw this.range(
        `\`hash\` must have at most 2^20 codes, got ${hash.N}. Use fewer bits, or fewer buckets.`,
      );
    }
    return hash;
  }

  private buckets(given: LshAttentionOptions['numBuckets'], L: number, C: number): BucketPlan {
    const factors = given === undefined ? undefined : givenFactors(this, given, MAX_BUCKETS);
    return bucketPlan(factors, L, C, MAX_BUCKETS);
  }

  private mask(mask: Tensor | undefined, B: number, L: number): void {
    if (mask !== undefined) {
      this.tensor('mask', mask, ['bool', 'int32']);
      this.sameShape('mask', mask, [B, L], '[B, L]');
    }
  }

  /** How a mask `[B, Lk]` or `[B or 1, H or 1, L or 1, Lk]` lies in memory. */
  private pairMask(mask: Tensor | undefined, { B, H, L, Lk }: DenseShape): MaskStrides | undefined {
    if (mask === undefined) {
      return undefined;
    }
    this.tensor('mask', mask, ['bool', 'int32']);
    if (mask.rank !== 4) {
      this.sameShape('mask', mask, [B, Lk], '[B, Lk]');
      return maskStrides([B, 1, 1, Lk]);
    }
    const whole = [B, H, L, Lk];
    const shape = whole.map((size, axis) => (axis < 3 && mask.shape[axis] === 1 ? 1 : size));
    this.sameShape('mask', mask, shape, '[B or 1, H or 1, L or 1, Lk]');
    return maskStrides(shape);
  }

  private scale(value: Scale | undefined, D: number): number {
    if (value === '1/sqrt(D)') {
      return 1 / Math.sqrt(D);
    }
    const scale = value ?? DEFAULTS.scale;
    // Normal in float32; and queries of 1e18, so scaled, have finite products with keys of length 1.
    if (!(typeof scale === 'number' && scale >= 1e-37 && scale <= 1e18)) {
      throw this.range(`\`scale\` must be a number from 1e-37 to 1e18, or '1/sqrt(D)', got ${show(scale)}.`);
    }
    return scale;
  }

  /** The options that all attentions have. */
  private common(options: Pick<DenseAttentionOptions, 'causal' | 'dropout' | 'seed'>) {
    return {
      causal: this.flag('causal', options.causal ?? DEFAULTS.causal),
      dropout: this.share('dropout', options.dropout ?? DEFAULTS.dropout),
      seed: this.integer('seed', options.seed ?? DEFAULTS.seed, 0, 2 ** 32 - 1),
    };
  }
}
