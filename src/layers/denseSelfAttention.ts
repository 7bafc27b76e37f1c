import type { Tensor } from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { denseAttention } from '../attention/denseAttention.js';
import { LSHSelfAttention, type LSHSelfAttentionArgs } from './lshSelfAttention.js';
import type { Call } from './projected.js';

/**
 * A {@link LSHSelfAttention} whose attention is exact, by {@link denseAttention}: the same configuration and
 * the same weights in the same order, so that a model can be trained with one and used with the other. The
 * options of the hash are kept, and have no effect.
 */
export class DenseSelfAttention extends LSHSelfAttention {
  /** @nocollapse */
  static override className = 'DenseSelfAttention';

  protected override attend([qk]: readonly Tensor[], v: Tensor, call: Call): Tensor {
    const { causal, mask, scale, dropout, seed } = this.attentionOptions(call);
    return denseAttention(qk as Tensor, v, { causal, mask, scale, dropout, seed });
  }
}
serialization.registerClass(DenseSelfAttention);

/** A {@link DenseSelfAttention}, in the manner of `tf.layers`. */
export function denseSelfAttention(args: LSHSelfAttentionArgs): DenseSelfAttention {
  return new DenseSelfAttention(args);
}
