import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import { InputSpec, type initializers, layers, type Shape } from '@tensorflow/tfjs-layers';
import { Door } from '../door.js';
import { checkLayerArgs } from '../layers/layerArgs.js';
import { configJson, type ReformerConfig, readConfig } from './config.js';
import { initialValues } from './initialise.js';
import { Reformer } from './model.js';
import { parameterShapes } from './parameters.js';

type LayerArgs = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;
type Kwargs = Parameters<layers.Layer['call']>[1];
type Config = ReturnType<layers.Layer['getConfig']>;
type Initializer = ReturnType<typeof initializers.zeros>;

/** Configuration of {@link ReformerLayer}. */
export interface ReformerLayerArgs extends LayerArgs {
  /** A configuration, or an object with the fields of a `config.json` (see {@link readConfig}). */
  config: ReformerConfig | object;
  /**
   * What comes out: the residual streams side by side, normalised, `[batch, length, 2·hidden_size]` (`'hidden'`),
   * or what the head makes of them (`'logits'`). @default 'hidden'
   */
  output?: 'hidden' | 'logits';
  /** Draws the weights: an unsigned 32-bit integer. @default 0 */
  seed?: number;
}

/**
 * A whole {@link Reformer} as a layer of a tf.layers model: `[batch, length]` ids → `[batch, length, features]`, or
 * a classifier's `[batch, num_labels]`. Its weights have transformers' names, shapes and order, and are trained, saved
 * and loaded with the model; training recomputes the layers' activations. Masks come from masking layers before it, or
 * by `apply(ids, { mask })`.
 */
export class ReformerLayer extends layers.Layer {
  /** The name under which models are saved with it. */
  static className = 'ReformerLayer';
  private readonly door: Door;
  private readonly face: 'hidden' | 'logits';
  private readonly seed: number;
  private settings: ReformerConfig;
  private model: Reformer | undefined;

  constructor(args: ReformerLayerArgs) {
    super(checkedArgs(args));
    this.door = new Door(this.getClassName());
    this.settings = readConfig(args.config);
    const headless = this.settings.architectures[0] === 'ReformerModel';
    this.face = this.door.oneOf(
      'output',
      args.output ?? 'hidden',
      headless ? ['hidden'] : ['hidden', 'logits'],
    );
    this.seed = this.door.integer('seed', args.seed ?? 0, 0, 2 ** 32 - 1);
    this.supportsMasking = true;
    this.inputSpec = [new InputSpec({ ndim: 2 })];
  }

  /** The model, once the layer is built: the same weights. */
  get reformer(): Reformer {
    if (this.model === undefined) {
      throw this.door.failure('the layer has no weights before it is built. Apply it to an input first.');
    }
    return this.model;
  }

  override build(): void {
    const variables = new Map<string, Variable>();
    for (const [place, [name, shape]] of [...parameterShapes(this.settings)].entries()) {
      const draw = () => tf.tensor(initialValues(name, shape, place, this.settings, this.seed), [...shape]);
      // tf.layers exports no class of initializers, and asks no more of one.
      const variable = this.addWeight(name, [...shape], 'float32', { apply: draw } as unknown as Initializer);
      // It reads as the variable of tfjs that it holds.
      variables.set(name, variable.read() as Variable);
    }
    this.model = new Reformer(this.settings, { variables });
    this.built = true;
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [batch, length] = (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape) as Shape;
    const { hidden_size, vocab_size, num_labels, architectures } = this.settings;
    if (this.face === 'hidden') {
      return [batch ?? null, length ?? null, 2 * hidden_size];
    }
    return architectures[0] === 'ReformerForSequenceClassification'
      ? [batch ?? null, num_labels]
      : [batch ?? null, length ?? null, vocab_size];
  }

  override call(inputs: Tensor | Tensor[], kwargs: Kwargs): Tensor {
    return tf.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const ids = tf.cast((Array.isArray(inputs) ? inputs[0] : inputs) as Tensor, 'int32');
      const given = (Array.isArray(kwargs.mask) ? kwargs.mask[0] : kwargs.mask) as Tensor | null | undefined;
      if (given != null) {
        this.door.tensor('mask', given, ['bool', 'int32', 'float32']);
      }
      const mask = given == null ? undefined : tf.cast(given, 'bool');
      const options = { training: Boolean(kwargs.training), ...(mask && { mask }) };
      return this.face === 'hidden' ? this.reformer.hidden(ids, options) : this.reformer.logits(ids, options);
    });
  }

  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    { configuration, ...args }: serialization.ConfigDict,
  ): T {
    const text = new TextDecoder().decode(Uint8Array.from(configuration as number[]));
    return new cls({ ...args, config: JSON.parse(text) });
  }

  override getConfig(): Config {
    // In numbers: a saved model's names and words are changed between snake case and camel case, and back.
    const text = JSON.stringify(configJson(this.model?.config ?? this.settings));
    const configuration = [...new TextEncoder().encode(text)];
    return { ...super.getConfig(), configuration, output: this.face, seed: this.seed };
  }
}
function checkedArgs(args: ReformerLayerArgs): ReformerLayerArgs {
  const door = new Door(ReformerLayer.className);
  checkLayerArgs(args, door);
  return args;
}
serialization.registerClass(ReformerLayer);

/** A {@link ReformerLayer}, in the manner of `tf.layers`. @throws RangeError or TypeError naming the argument. */
export function reformerLayer(args: ReformerLayerArgs): ReformerLayer {
  return new ReformerLayer(args);
}
