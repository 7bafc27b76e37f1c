/** What the view Train asks its worker, and what it is told. */
import type { Attention } from '../../copy/model.js';
import type { TaskName } from './tasks.js';

export type TrainQuestion =
  | { readonly kind: 'begin'; readonly task: TaskName; readonly attention: Attention }
  /** Goes on until the last step, or `pause`. Its accuracy is measured with an attention of its own. */
  | { readonly kind: 'run'; readonly evaluated: Attention }
  | { readonly kind: 'pause' }
  /** From now on the accuracy is of this attention, and it is measured now. */
  | { readonly kind: 'evaluate'; readonly evaluated: Attention };

export type TrainNews =
  | { readonly kind: 'step'; readonly step: number; readonly loss: number }
  | {
      readonly kind: 'accuracy';
      readonly step: number;
      readonly attention: Attention;
      readonly value: number;
    };
