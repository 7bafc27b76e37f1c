import { type constraints, type initializers, layers, type regularizers } from '@tensorflow/tfjs-layers';
import { type Door, show } from '../door.js';

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
  constructor(args: WeightArgs, owner: string, door: Door) {
    const given = NAMES.map((name) => [name, args[name]] as const).filter(([, value]) => value != null);
    const usual = {
      units: 1,
      name: `${owner}_weights`,
      kernelInitializer: 'glorotUniform',
      biasInitializer: 'zeros',
    };
    const denseOf = (rules: typeof given) =>
      layers.dense({ ...usual, ...Object.fromEntries(rules) } as DenseArgs);
    for (const [name, value] of given) {
      try {
        denseOf([[name, value]]);
      } catch (cause) {
        // A TypeError is tfjs's own surprise, and tells people nothing.
        const reason = cause instanceof Error && !(cause instanceof TypeError) ? ` ${cause.message}` : '';
        throw door.range(
          `\`${name}\` must be the name or the object of one that tf.layers has, got ${show(value)}.${reason}`,
          { cause },
        );
      }
    }
    this.dense = denseOf(given);
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
