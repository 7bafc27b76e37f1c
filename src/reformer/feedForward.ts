import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { ACTIVATIONS, type Activation } from './activations.js';
import { type Call, seedOf, type Weights } from './call.js';
import type { ReformerConfig } from './config.js';
import { dropElements, type TokenSlice } from './dropout.js';
import { layerNorm, linear } from './linear.js';
import { gradientsWithin, type Pulled } from './nestedGradients.js';

/**
 * The feed-forward part of one layer, `[B, L, hidden_size]` → the same, a slice of tokens at a time (Kitaev et al.
 * 2020, section 3): no token sees another here, so the size of the slices changes memory alone.
 */
export class FeedForward {
  /** Its weights, in the order of the model's. */
  readonly variables: readonly Variable[];
  private readonly activation: Activation;

  constructor(
    private readonly config: ReformerConfig,
    private readonly weights: Weights,
    private readonly index: number,
  ) {
    this.variables = weights.all();
    this.activation = ACTIVATIONS[config.hidden_act] as Activation;
  }

  /** What the layer adds to the other stream, `[B, L, hidden_size]`, for a stream `x` of that shape. */
  apply(x: Tensor, call: Call): Tensor {
    const parts = this.slices(x).map((slice) => tf.tidy(() => this.applyTo(part(x, slice), call, slice)));
    return joined(parts);
  }

  /** {@link apply} and the gradients by x and the variables, of `dy`, holding one slice's activations at a time. @internal */
  pull(x: Tensor, dy: Tensor, call: Call): Pulled {
    const values: Tensor[] = [];
    const ofX: Tensor[] = [];
    let ofVariables: Tensor[] = [];
    for (const slice of this.slices(x)) {
      const { value, gradients } = tf.tidy(() => {
        const tokens = part(x, slice);
        const inputs = [tokens, ...this.variables];
        const { value, gradients } = gradientsWithin(
          () => this.applyTo(tokens, call, slice),
          inputs,
          part(dy, slice),
        );
        const [ofTokens, ...others] = gradients as [Tensor, ...Tensor[]];
        const sums =
          ofVariables.length === 0 ? others : others.map((g, i) => tf.add(ofVariables[i] as Tensor, g));
        return { value, gradients: [ofTokens, ...sums] };
      });
      tf.dispose(ofVariables);
      values.push(value);
      ofX.push(gradients[0] as Tensor);
      ofVariables = gradients.slice(1);
    }
    return { value: joined(values), gradients: [joined(ofX), ...ofVariables] };
  }

  private applyTo(x: Tensor, call: Call, slice: TokenSlice): Tensor {
    const { weights, config } = this;
    const p = call.training ? config.hidden_dropout_prob : 0;
    const normed = layerNorm(x, weights.norm(), config.layer_norm_eps);
    const wide = linear(normed, weights.get('dense.dense.weight'), weights.get('dense.dense.bias'));
    const active = this.activation(dropElements(wide, { p, seed: seedOf(call, this.index, 'inner') }, slice));
    const out = linear(active, weights.get('output.dense.weight'), weights.get('output.dense.bias'));
    return dropElements(out, { p, seed: seedOf(call, this.index, 'outer') }, slice);
  }

  /** Where each slice of a sequence begins, and how long sequences are. */
  private slices(x: Tensor): (TokenSlice & { readonly count: number })[] {
    const length = x.shape[1] as number;
    const size = this.config.chunk_size_feed_forward || Math.max(1, length);
    return Array.from({ length: Math.ceil(length / size) }, (_, i) => ({
      first: i * size,
      count: Math.min(size, length - i * size),
      length,
    }));
  }
}

function part(x: Tensor, { first, count, length }: TokenSlice & { readonly count: number }): Tensor {
  const [B, , width] = x.shape as [number, number, number];
  return count === length ? x : tf.slice(x, [0, first, 0], [B, count, width]);
}

/** Slices of tokens as one tensor; the slices are disposed. */
function joined(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) {
    return parts[0] as Tensor;
  }
  const whole = tf.concat([...parts], 1);
  tf.dispose([...parts]);
  return whole;
}
