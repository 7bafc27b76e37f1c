import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { derivedSeed } from '../hashing/random.js';
import type { ReformerConfig } from './config.js';

/** What all layers of a call share, checked. */
export interface Call {
  /** `[B, L]` int32, 1 = a token, 0 = padding. */
  readonly mask?: Tensor;
  /** R. */
  readonly numHashes: number;
  /** N, or its factors. */
  readonly numBuckets: number | readonly number[];
  /** What is hashed by, in place of a draw from `seed`: one for each LSH layer, or one for all. */
  readonly rotations?: readonly Tensor[];
  /** What LSH layers see. */
  readonly window: ReformerConfig['lsh_window'];
  /** Whether to drop. */
  readonly training: boolean;
  /** Of rotations and of dropout. */
  readonly seed: number;
}

/** Uses of a layer's seed. */
const USES = { attention: 0, attended: 1, inner: 2, outer: 3 } as const;
/** Uses of a call's seed besides its layers'. */
const EMBEDDING = 0x656d6264;

/** The seed of one use in a layer, or of the embedding (layer −1) or the head (a layer after the last). */
export function seedOf({ seed }: Call, layer: number, use: keyof typeof USES): number {
  return derivedSeed(derivedSeed(seed, layer < 0 ? EMBEDDING : layer), USES[use]);
}

/** A model's variables by transformers' names. */
export class Weights {
  constructor(
    readonly variables: ReadonlyMap<string, Variable>,
    private readonly prefix = '',
  ) {}

  /** The variables of a part, whose names go on after its own and a dot. */
  under(name: string): Weights {
    return this.from(`${name}.`);
  }

  /** The variables whose names begin so, perhaps with nothing. */
  from(start: string): Weights {
    return new Weights(this.variables, this.prefix + start);
  }

  get(name: string): Variable {
    return this.variables.get(this.prefix + name) as Variable;
  }

  norm(): { readonly weight: Variable; readonly bias: Variable } {
    return { weight: this.get('layer_norm.weight'), bias: this.get('layer_norm.bias') };
  }

  /** All whose names go on from here. */
  all(): Variable[] {
    return [...this.variables]
      .filter(([name]) => name.startsWith(this.prefix))
      .map(([, variable]) => variable);
  }
}
