import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** A function's value and what reaches its inputs of a gradient of it. */
export interface Pulled {
  readonly value: Tensor;
  /** In the order of the inputs, of their shapes. */
  readonly gradients: Tensor[];
}

/**
 * The value of `f`, and the gradients of `f · dy` by `inputs`, inside a gradient function of tfjs's. Its engine
 * (4.22) takes the end of any gradient for the end of the outermost, and clears the tape, so the tape that is
 * being walked is put aside meanwhile.
 */
export function gradientsWithin(f: () => Tensor, inputs: readonly Tensor[], dy: Tensor): Pulled {
  const engine = tf.engine();
  const { activeTape } = engine.state;
  try {
    const { value, grads } = engine.gradients(f, [...inputs], dy, true);
    const gradients = grads.map((grad, i) => grad ?? tf.zerosLike(inputs[i] as Tensor));
    return { value, gradients };
  } finally {
    engine.state.activeTape = activeTape;
  }
}
