/** What the view Race asks its worker, and what it is told. */

/** Ways to compute attention of the same queries and values. */
export const CONTESTANTS = ['LSH', 'dense, one kernel', 'dense, tfjs ops'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

export interface RaceSettings {
  /** R, rounds of LSH attention. */
  readonly rounds: number;
  readonly heads: number;
  /** The last length of the ladder. */
  readonly longest: number;
}

export const FIRST_LENGTH = 256;
/** D and E: the depth of queries, keys and values. */
export const DEPTH = 64;

export interface Lap {
  readonly who: Contestant;
  readonly length: number;
  /** The median of `runs` calls, until the result can be read. */
  readonly ms: number;
  readonly runs: number;
  /** Most bytes in use at once beside the inputs. */
  readonly bytes: number;
}

export type RaceNews =
  | { readonly kind: 'busy'; readonly who: Contestant; readonly length: number }
  | { readonly kind: 'lap'; readonly lap: Lap }
  | { readonly kind: 'out'; readonly who: Contestant; readonly length: number; readonly reason: string };
