/** What is shown: a text, how it is attended to, and one of its rounds. */
import type { SeeAnswer, SeeOptions } from './question.js';

export interface Scene extends SeeAnswer {
  readonly texts: readonly string[];
  readonly options: SeeOptions;
  /** The round that is shown, from 0 up. */
  readonly round: number;
}

/** Tokens that stand together. */
export interface Group {
  readonly name: string;
  readonly tokens: readonly number[];
}

export function bucketOf({ buckets, texts, round }: Scene, token: number, inRound = round): number {
  return buckets[inRound * texts.length + token] as number;
}

/** The tokens of the shown round, sorted by bucket, those of a bucket as they are written. */
export function sorted(scene: Scene): number[] {
  return scene.texts
    .map((_, token) => token)
    .sort((a, b) => bucketOf(scene, a) - bucketOf(scene, b) || a - b);
}

/** The sorted row, cut: into chunks, or, where whole buckets are seen, into buckets. */
export function groups(scene: Scene): Group[] {
  const { chunkLength, window } = scene.options;
  const found: { name: string; tokens: number[] }[] = [];
  let last = -1;
  for (const [slot, token] of sorted(scene).entries()) {
    const group = window === 'chunk' ? Math.floor(slot / chunkLength) : bucketOf(scene, token);
    if (group !== last) {
      found.push({ name: window === 'chunk' ? `Chunk ${group + 1}` : `Bucket ${group}`, tokens: [] });
      last = group;
    }
    found.at(-1)?.tokens.push(token);
  }
  return found;
}

/** What `token` gives each token in the shown round, or in another; 0 where it does not see it. */
export function weightsInRound(
  { rounds, texts, round }: Scene,
  token: number,
  inRound = round,
): Float32Array {
  const L = texts.length;
  const first = (inRound * L + token) * L;
  return rounds.subarray(first, first + L);
}

/** A token's row of weights `[L, L]`. */
export function rowOf(weights: Float32Array, token: number): Float32Array {
  const L = Math.sqrt(weights.length);
  return weights.subarray(token * L, (token + 1) * L);
}

export interface Summary {
  /** The share of dense attention's mass that is seen, of an average token. */
  readonly share: number;
  /** Pairs that are compared, of those that dense attention compares. */
  readonly pairs: number;
}

export function summaryOf({ share, lsh, dense }: SeeAnswer): Summary {
  const count = (weights: Float32Array) => weights.reduce((sum, weight) => sum + Number(weight > 0), 0);
  return {
    share: share.reduce((sum, one) => sum + one, 0) / share.length,
    pairs: count(lsh) / count(dense),
  };
}
