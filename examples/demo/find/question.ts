/** What the view Find asks its worker. */

/** How candidates are found: by the attention's own hash in tables, or by the nearest codes of 256 bits. */
export type Way = 'tables' | 'codes';

export type FindQuestion =
  | { readonly kind: 'measure'; readonly way: Way; readonly effort: number }
  | { readonly kind: 'sentence' }
  | { readonly kind: 'neighbours'; readonly text: string; readonly way: Way; readonly effort: number };

/** What an effort comes to, over many queries. */
export interface Setting {
  readonly way: Way;
  /** Buckets visited in each table, or codes whose sentences are compared. */
  readonly effort: number;
  /** Of the 10 nearest, the share that is found. */
  readonly recall: number;
  /** Of all sentences, the share that is compared exactly. */
  readonly compared: number;
}

export interface Neighbour {
  readonly text: string;
  readonly speech: string;
  /** 1 − cosine, from 0 to 2. */
  readonly distance: number;
  readonly found: boolean;
}

export type FindAnswer =
  | { readonly kind: 'setting'; readonly setting: Setting }
  | { readonly kind: 'sentence'; readonly text: string }
  /** The exact neighbours, nearest first, and how many of all sentences were compared by hashing. */
  | {
      readonly kind: 'neighbours';
      readonly neighbours: readonly Neighbour[];
      readonly compared: number;
      readonly sentences: number;
    };

/** Neighbours asked for. */
export const K = 10;
export const EFFORTS: Record<Way, readonly number[]> = {
  tables: [1, 2, 4, 6, 8, 12, 16, 24, 32],
  codes: [10, 20, 40, 80, 160, 320, 640, 1280],
};
