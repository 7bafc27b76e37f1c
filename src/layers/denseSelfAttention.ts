import { serialization } from '@tensorflow/tfjs-core';
import { LSHSelfAttention, type LSHSelfAttentionArgs } from './lshSelfAttention.js';

/**
 * A {@link LSHSelfAttention} that always attends exactly: the same configuration and the same
 * weights in the same order, so that a model can be trained with one and used with the other.
 */
export class DenseSelfAttention extends LSHSelfAttention {
  /** The name under which models are saved with it. */
  static override className = 'DenseSelfAttention';

  /** Always `'dense'`. */
  override attentionAt(): 'dense' {
    return 'dense';
  }
}
serialization.registerClass(DenseSelfAttention);

/** A {@link DenseSelfAttention}, in the manner of `tf.layers`. @throws RangeError or TypeError naming the argument. */
export function denseSelfAttention(args: LSHSelfAttentionArgs): DenseSelfAttention {
  return new DenseSelfAttention(args);
}
