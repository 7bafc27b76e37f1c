/** Adam at a rate that rises, then falls, and what goes on of it in a checkpoint. */
import * as tf from '@tensorflow/tfjs-core';
import type { StoredTensor } from 'tfjs-lsh-attention/reformer';

/** How the rate goes. */
export interface Schedule {
  /** The highest rate. */
  readonly rate: number;
  /** Steps in which it rises to it. */
  readonly warmUp: number;
}

/** Names moments in a checkpoint. */
const MOMENT = 'moment.';
/** The share of the highest rate that is left at the end. */
const LEAST_RATE = 0.02;

export class ScheduledAdam extends tf.AdamOptimizer {
  constructor(private readonly schedule: Schedule) {
    // A second moment of shorter memory than usual suits a run of a thousand steps.
    super(schedule.rate, 0.9, 0.98, 1e-8);
  }

  /** One step of `steps`; returns its loss. */
  async descend(
    step: number,
    steps: number,
    loss: () => tf.Scalar,
    variables: tf.Variable[],
  ): Promise<number> {
    const { rate, warmUp } = this.schedule;
    const fall = 0.5 * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps));
    this.learningRate = rate * Math.min(1, (step + 1) / warmUp) * (LEAST_RATE + (1 - LEAST_RATE) * fall);
    const cost = tf.tidy(() => this.minimize(loss, true, variables) as tf.Scalar);
    const [value] = await cost.data();
    cost.dispose();
    if (!Number.isFinite(value)) {
      throw new Error(
        `The loss is ${value} at step ${step + 1}. Start over with --fresh and a lower --rate.`,
      );
    }
    return value as number;
  }

  /** The moments, and how many steps they are of. */
  async stored(): Promise<{ readonly iterations: number; readonly tensors: Map<string, StoredTensor> }> {
    const [iterations, ...moments] = await this.getWeights();
    const tensors = await storedTensors(moments.map(({ tensor }, n) => [`${MOMENT}${n}`, tensor]));
    const [count] = (await iterations?.tensor.data()) ?? [0];
    iterations?.tensor.dispose();
    return { iterations: count as number, tensors };
  }

  /** Goes on with moments from a checkpoint. */
  async restore(iterations: number, tensors: ReadonlyMap<string, StoredTensor>): Promise<void> {
    const moments = [...tensors]
      .filter(([name]) => name.startsWith(MOMENT))
      .map(([name, { shape, values }]) => ({ name, tensor: tf.tensor(values, [...shape]) }));
    const count = { name: 'iter', tensor: tf.scalar(iterations, 'int32') };
    await this.setWeights([count, ...moments]);
    tf.dispose([count, ...moments].map(({ tensor }) => tensor));
  }
}

/** The values of tensors by name. */
export async function storedTensors(
  tensors: Iterable<readonly [string, tf.Tensor]>,
): Promise<Map<string, StoredTensor>> {
  const stored = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    stored.set(name, { shape: tensor.shape, values: (await tensor.data()) as Float32Array<ArrayBuffer> });
  }
  return stored;
}
