/** What takes part in a measurement. */

import type { Params } from './findings.js';
import type { Inputs } from './inputs.js';
import type { Variant } from './options.js';

/** A case to be measured. */
export interface Case {
  readonly suite: 'attention' | 'training' | 'peers' | 'composed';
  readonly params: Params;
}

/** Something prepared for a case. */
export interface Entry {
  /** Milliseconds of one run on an input set. */
  run(set: number): Promise<number>;
  /** Of the results, against float64; undefined where there is no way to know. */
  readonly maxError?: number;
  readonly bytesPeak?: number;
  dispose(): Promise<void> | void;
}

/** One way to compute attention. */
export interface Entrant {
  readonly name: string;
  /** The device, of ours. */
  readonly variant?: Variant;
  /** Its time grows with this power of the length. */
  readonly power: 1 | 2;
  /** Why it cannot do a case; undefined where it can. */
  unable(test: Case): string | undefined;
  /** @throws Error where it cannot, after all. */
  prepare(test: Case, inputs: Inputs): Promise<Entry>;
  end?(): void;
}
