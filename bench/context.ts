/** What every suite is given. */
import type { Devices } from './devices.js';
import type { Collected } from './findings.js';
import type { Inputs } from './inputs.js';
import type { BenchOptions } from './options.js';

export interface Context {
  readonly options: BenchOptions;
  readonly devices: Devices;
  readonly findings: Collected;
  readonly inputs: Inputs;
  /** Whether Ctrl-C was pressed. */
  readonly stopped: () => boolean;
  readonly progress: (text: string) => void;
  /** Writes what there is, where a file was asked for. */
  readonly save: () => void;
}
