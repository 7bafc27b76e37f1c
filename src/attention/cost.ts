import * as tf from '@tensorflow/tfjs-core';
import { show } from '../door.js';
import { BACKEND } from '../webgpu/backend.js';
import { AttentionDoor } from './door.js';
import type { LshAttentionOptions } from './options.js';
import { planCall } from './plan.js';
import type { Shape } from './settings.js';

/** What {@link predictCost} predicts, in operations at the rate of dense attention on the same backend. */
export interface PredictedCost {
  /** Of LSH attention. */
  readonly lsh: number;
  /** Of dense attention. */
  readonly dense: number;
  /** Which of the two is less. */
  readonly cheaper: 'lsh' | 'dense';
}

/** How fast LSH attention is, next to dense attention on the same backend. */
interface Rates {
  /** Operations by the second on pairs of the window. */
  readonly attend: number;
  /** … and of the hash. */
  readonly hash: number;
  /** What a round costs at any length, in operations. */
  readonly round: number;
}

/** From `npm run bench -- --suite attention`; the composed path moves what kernels keep in registers. */
const RATES = {
  kernels: { attend: 0.8, hash: 0.5, round: 2e6 },
  composed: { attend: 0.4, hash: 1, round: 1e7 },
} satisfies Record<string, Rates>;

/**
 * Predicts which is cheaper, {@link lshAttention} or {@link denseAttention}, from counted operations and
 * the ratio of their measured rates. Nothing runs.
 *
 * @param shape sizes in letters; B and H default to 1, E to D.
 * @param options as for `lshAttention`.
 * @param backend the name of tfjs's backend. Default: the present one.
 * @throws RangeError or TypeError for what `lshAttention` would refuse.
 */
export function predictCost(
  shape: Pick<Shape, 'L' | 'D'> & Partial<Shape>,
  options: LshAttentionOptions = {},
  backend: string = tf.getBackend(),
): PredictedCost {
  const door = new AttentionDoor('predictCost');
  // There is none before tfjs has started one.
  if (backend != null && typeof backend !== 'string') {
    throw door.kind(`\`backend\` must be the name of one, got ${show(backend)}. Try tf.getBackend().`);
  }
  const {
    shape: { B, H, L, D, E },
    settings,
    operations,
  } = planCall(door, shape, options);
  const onKernels = backend === BACKEND;
  const { attend, hash, round } = onKernels ? RATES.kernels : RATES.composed;
  const lsh = operations.attend / attend + operations.hash / hash + settings.R * round;
  // Kernels skip the tiles that causality excludes.
  const dense = 2 * B * H * L * L * (D + E) * (settings.causal && onKernels ? 0.5 : 1);
  return { lsh, dense, cheaper: lsh < dense ? 'lsh' : 'dense' };
}
