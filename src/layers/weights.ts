import { type constraints, type initializers, layers, type regularizers } from '@tensorflow/tfjs-layers';

type DenseArgs = Parameters<typeof layers.dense>[0];

const NAMES = [
  'kernelInitializer',
  'kernelRegularizer',
  'kernelConstraint',
  'biasInitializer',
  'biasRegularizer',
  'biasConstraint',
] as const;

/** How weights start and what holds them, by Keras's names; glorotUniform and zeros where nothing is said. */
export type WeightArgs = Pick<DenseArgs, (typeof NAMES)[number]>;

/** What a kind of weight is made with. */
export interface WeightRules {
  readonly initializer: ReturnType<typeof initializers.zeros>;
  readonly regularizer: ReturnType<typeof regularizers.l1l2> | undefined;
  readonly constraint: ReturnType<typeof constraints.nonNeg> | undefined;
}

/**
 * The rules of kernels and biases from their arguments, which may be names, objects or saved
 * configurations. tfjs exports no way from one to the other, but its dense layer knows it.
 */
export class WeightSettings {
  readonly kernel: WeightRules;
  readonly bias: WeightRules;
  private readonly dense: layers.Layer;

  /** `owner` is the layer's name: a layer without one would change the names that tfjs counts out. */
  constructor(args: WeightArgs, owner: string) {
    const given = NAMES.map((name) => [name, args[name]]);
    this.dense = layers.dense({
      units: 1,
      name: `${owner}_weights`,
      kernelInitializer: 'glorotUniform',
      biasInitializer: 'zeros',
      ...Object.fromEntries(given.filter(([, value]) => value != null)),
    });
    const rules = this.dense as unknown as Record<(typeof NAMES)[number], unknown>;
    const of = (part: 'kernel' | 'bias') =>
      ({
        initializer: rules[`${part}Initializer`],
        regularizer: rules[`${part}Regularizer`],
        constraint: rules[`${part}Constraint`],
      }) as WeightRules;
    this.kernel = of('kernel');
    this.bias = of('bias');
  }

  getConfig(): ReturnType<layers.Layer['getConfig']> {
    const config = this.dense.getConfig();
    return Object.fromEntries(NAMES.map((name) => [name, config[name] ?? null]));
  }
}
