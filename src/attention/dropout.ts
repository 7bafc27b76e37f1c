/**
 * Dropout of attention weights, by a counter-based hash of (seed, b, h, r, i, j): a pair has the same
 * fate in forward, backward and recomputation, on every backend, whatever the tiling.
 */
import { pcg } from '../hashing/random.js';

/** Names the random stream of dropout: other uses of a seed draw other numbers. */
const STREAM = 0x64726f70;

export interface Dropout {
  /** The share of weights that is dropped, in [0, 1). */
  readonly p: number;
  /** An unsigned 32-bit integer. */
  readonly seed: number;
}

/** Blocks of pairs: in each, every query meets every key. */
export interface PairBlocks {
  /** Blocks of one row (b, h). */
  readonly blocks: number;
  /** Tokens, `[B·H, blocks, Q]`, or `[blocks, Q]` where all rows have the same. */
  readonly queries: ArrayLike<number>;
  /** Tokens, `[B·H, blocks, K]` or `[blocks, K]`. */
  readonly keys: ArrayLike<number>;
  /** Q, the queries of a block. */
  readonly queriesPerBlock: number;
  /** K, the keys of a block. */
  readonly keysPerBlock: number;
}

/** A weight is dropped if its word is less than this: round(p·2³²), an unsigned 32-bit integer. */
export function dropoutThreshold(p: number): number {
  return Math.min(2 ** 32 - 1, Math.round(p * 2 ** 32));
}

/** The word that decides on the pair of query i and key j: of batch b, head h, counted in round r. */
export function dropoutWord(seed: number, b: number, h: number, r: number, i: number, j: number): number {
  return pcg((queryWord(roundWord(seed, b, h, r), i) + pcg(j)) | 0);
}

function roundWord(seed: number, b: number, h: number, r: number): number {
  return [b, h, r].reduce((word, index) => pcg((word + index) | 0), pcg(seed ^ STREAM));
}

function queryWord(round: number, i: number): number {
  return pcg((round + i) | 0);
}

/**
 * The multipliers of the weights of round `r`, `[B·H, blocks, Q, K]`: 0 where the weight is dropped, else
 * 1/(1 − p), so that the mean stays as it is.
 */
export function dropoutWeights(
  { B, H }: { readonly B: number; readonly H: number },
  { p, seed }: Dropout,
  r: number,
  { blocks, queries, keys, queriesPerBlock: Q, keysPerBlock: K }: PairBlocks,
): Float32Array {
  const threshold = dropoutThreshold(p);
  const kept = Math.fround(1 / (1 - p));
  const keyWords = Uint32Array.from(keys, pcg);
  const weights = new Float32Array(B * H * blocks * Q * K);
  let at = 0;
  for (let row = 0; row < B * H; row++) {
    const round = roundWord(seed, Math.floor(row / H), row % H, r);
    for (let block = 0; block < blocks; block++) {
      // Taken round, a table of one row serves all rows.
      const firstQuery = ((row * blocks + block) * Q) % queries.length;
      const firstKey = ((row * blocks + block) * K) % keys.length;
      for (let query = firstQuery; query < firstQuery + Q; query++) {
        const word = queryWord(round, queries[query] as number);
        for (let key = firstKey; key < firstKey + K; key++) {
          weights[at++] = pcg(word + (keyWords[key] as number)) < threshold ? 0 : kept;
        }
      }
    }
  }
  return weights;
}
