import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * A tensor of the same values that no gradient passes. tfjs has no `stopGradient`: its tape follows
 * tensors, so a second tensor on the same data is a stranger to it.
 */
export function detach<T extends Tensor>(x: T): T {
  const engine = tf.engine();
  engine.state.tensorInfo.get(x.dataId)?.backend.incRef(x.dataId);
  return engine.makeTensorFromTensorInfo({ dataId: x.dataId, shape: x.shape, dtype: x.dtype }) as T;
}
