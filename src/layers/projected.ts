import type { serialization, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { InputSpec, type LayerVariable, layers, type Shape } from '@tensorflow/tfjs-layers';
import { AttentionDoor, MAX_DEPTH } from '../attention/door.js';
import { derivedSeed } from '../hashing/random.js';
import { dedupe } from '../webgpu/watch.js';
import { checkLayerArgs } from './layerArgs.js';
import { type WeightArgs, type WeightRules, WeightSettings } from './weights.js';

type LayerArgs = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;
type Kwargs = Parameters<layers.Layer['call']>[1];
export type Config = ReturnType<layers.Layer['getConfig']>;

/** What all attention layers are configured by, besides the options of their attention. */
export interface ProjectedAttentionArgs extends LayerArgs, WeightArgs {
  /** H: an integer from 1 up. */
  numHeads: number;
  /** D, the depth of queries and keys in each head: an integer from 1 to 256. */
  keyDim: number;
  /** E, the depth of values in each head: an integer from 1 to 256. @default keyDim */
  valueDim?: number;
  /** Features of the output: an integer from 1 up. @default those of the input */
  outputDim?: number;
  /** Whether every projection has a bias. @default true */
  useBias?: boolean;
}

const NAMES: Record<keyof ProjectedAttentionArgs | 'updatable' | 'customObjects', true> = {
  numHeads: true,
  keyDim: true,
  valueDim: true,
  outputDim: true,
  useBias: true,
  kernelInitializer: true,
  kernelRegularizer: true,
  kernelConstraint: true,
  biasInitializer: true,
  biasRegularizer: true,
  biasConstraint: true,
  name: true,
  trainable: true,
  dtype: true,
  inputDType: true,
  inputShape: true,
  batchInputShape: true,
  batchSize: true,
  weights: true,
  // Not ours, but in configurations that tfjs or Keras made.
  updatable: true,
  customObjects: true,
};

/** What an attention is called with besides its projected tensors. */
export interface Call {
  /** `[B, L]` bool. */
  readonly mask?: Tensor;
  readonly training: boolean;
  /** The layer's own seed, or in training one of this step. */
  readonly seed: number;
}

/** A matrix and perhaps a bias. */
interface Projection {
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | undefined;
}

/**
 * An attention between projections: input `[B, L, features]` → heads `[B, H, L, depth]`, the attention of a
 * subclass, → output `[B, L, outputDim]`.
 */
export abstract class ProjectedAttention extends layers.Layer {
  /**
   * Calls in training so far. With the seed it decides the hash and the dropout of the next; set it to go
   * on with a run where it was left.
   */
  trainingStep = 0;

  protected readonly door: AttentionDoor;
  protected readonly numHeads: number;
  protected readonly keyDim: number;
  protected readonly valueDim: number;
  private readonly outputDim: number | undefined;
  private readonly useBias: boolean;
  private readonly weightSettings: WeightSettings;
  private readonly projections = new Map<string, Projection>();

  /** `keyed` are the names of the projections to keys and queries; 'value' and 'output' come after them. */
  constructor(
    args: ProjectedAttentionArgs,
    private readonly keyed: readonly string[],
    optionNames: Readonly<Record<string, true>>,
  ) {
    super(
      checkedArgs(args, new AttentionDoor(new.target.prototype.getClassName()), { ...NAMES, ...optionNames }),
    );
    this.door = new AttentionDoor(this.getClassName());
    if (!((this as object) instanceof tf.serialization.Serializable)) {
      throw this.door.failure(
        `@tensorflow/tfjs-layers uses another copy of @tensorflow/tfjs-core than this package does: saved models would not find the layer. ${dedupe('tfjs-core')}`,
      );
    }
    this.numHeads = this.door.integer('numHeads', args.numHeads, 1);
    this.keyDim = this.door.integer('keyDim', args.keyDim, 1, MAX_DEPTH);
    this.valueDim = this.door.integer('valueDim', args.valueDim ?? args.keyDim, 1, MAX_DEPTH);
    this.outputDim = args.outputDim == null ? undefined : this.door.integer('outputDim', args.outputDim, 1);
    this.useBias = this.door.flag('useBias', args.useBias ?? true);
    this.weightSettings = new WeightSettings(args, this.name, this.door);
    this.supportsMasking = true;
    this.inputSpec = [new InputSpec({ ndim: 3 })];
  }

  /** The attention of `[B, H, L, D]` for each keyed projection and `v [B, H, L, E]`: `[B, H, L, E]`. */
  protected abstract attend(keyed: readonly Tensor[], v: Tensor, call: Call): Tensor;

  /** What `predict` uses, and what the seeds of training come from. */
  protected abstract get baseSeed(): number;

  override build(inputShape: Shape | Shape[]): void {
    const features = oneShape(inputShape)[2] ?? null;
    if (features === null) {
      throw this.door.range(
        'the last axis of the input, its features, must have a size, got null. Give it in `inputShape`.',
      );
    }
    const { numHeads, keyDim, valueDim } = this;
    for (const name of this.keyed) {
      this.addProjection(name, features, numHeads * keyDim);
    }
    this.addProjection('value', features, numHeads * valueDim);
    this.addProjection('output', numHeads * valueDim, this.outputDim ?? features);
    this.inputSpec = [new InputSpec({ ndim: 3, axes: { [-1]: features } })];
    this.built = true;
  }

  private addProjection(name: string, from: number, to: number): void {
    this.door.affordable(`numbers of \`${name}/kernel\``, from * to, 'Use fewer heads, or fewer features.');
    const { kernel, bias } = this.weightSettings;
    const weight = (part: string, shape: number[], { initializer, regularizer, constraint }: WeightRules) =>
      this.addWeight(`${name}/${part}`, shape, 'float32', initializer, regularizer, true, constraint);
    this.projections.set(name, {
      kernel: weight('kernel', [from, to], kernel),
      bias: this.useBias ? weight('bias', [to], bias) : undefined,
    });
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const [batch, length, features] = oneShape(inputShape) as [number | null, number | null, number | null];
    return [batch, length, this.outputDim ?? features];
  }

  override call(inputs: Tensor | Tensor[], kwargs: Kwargs): Tensor {
    return this.door.tidy(() => {
      this.invokeCallHook(inputs, kwargs);
      const x = (Array.isArray(inputs) ? inputs[0] : inputs) as Tensor;
      if (!(x instanceof tf.Tensor)) {
        throw this.door.kind(
          `the input is a symbolic tensor of another copy of @tensorflow/tfjs-layers than this package uses. ${dedupe('tfjs-layers')}`,
        );
      }
      const [B, L] = x.shape as [number, number];
      const mask = this.maskOf(kwargs.mask, B, L);
      const training = Boolean(kwargs.training);
      // Steps hash and drop unlike each other, runs of one seed alike.
      const seed = training ? derivedSeed(this.baseSeed, this.trainingStep++) : this.baseSeed;
      const keyed = this.keyed.map((name) => this.heads(name, x, this.keyDim));
      const attended = this.attend(keyed, this.heads('value', x, this.valueDim), {
        training,
        seed,
        ...(mask && { mask }),
      });
      return this.project('output', tf.transpose(attended, [0, 2, 1, 3]), B, L);
    });
  }

  /** `x [B, L, …]` times a projection's matrix, plus its bias: `[B, L, columns]`. */
  private project(name: string, x: Tensor, B: number, L: number): Tensor {
    const { kernel, bias } = this.projections.get(name) as Projection;
    const matrix = kernel.read() as Tensor2D;
    this.door.usable(kernel.name, matrix);
    // In two dimensions: the gradient of a product of ranks 3 and 2 throws.
    const product = tf.matMul(tf.reshape(x, [B * L, matrix.shape[0]]) as Tensor2D, matrix);
    const projected = bias === undefined ? product : tf.add(product, bias.read() as Tensor1D);
    return tf.reshape(projected, [B, L, matrix.shape[1]]);
  }

  private heads(name: string, x: Tensor, depth: number): Tensor {
    const [B, L] = x.shape as [number, number];
    return tf.transpose(tf.reshape(this.project(name, x, B, L), [B, L, this.numHeads, depth]), [0, 2, 1, 3]);
  }

  /** The mask of a call as `[B, L]` bool, from a Keras layer or the caller. */
  private maskOf(given: unknown, B: number, L: number): Tensor | undefined {
    if (given === undefined || given === null) {
      return undefined;
    }
    const mask = (Array.isArray(given) ? given[0] : given) as Tensor;
    this.door.tensor('mask', mask, ['bool', 'int32', 'float32']);
    if (mask.shape.join() !== `${B},${L}`) {
      throw this.door.range(
        `\`mask\` must have the shape [B, L] = [${B},${L}], got [${mask.shape}]. A model hands all its layers one object of arguments, in which the mask of another branch stays: give this input a mask of its own, for example by tf.layers.masking().`,
      );
    }
    return tf.notEqual(mask, tf.zerosLike(mask));
  }

  /** Makes a layer of what `getConfig` returned. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    // A saved model has its strings in snake case, and so this one in small letters.
    return new cls(config.scale === '1/sqrt(d)' ? { ...config, scale: '1/sqrt(D)' } : config);
  }

  /** The arguments of the constructor, as plain JSON. */
  override getConfig(): Config {
    return {
      ...super.getConfig(),
      numHeads: this.numHeads,
      keyDim: this.keyDim,
      valueDim: this.valueDim,
      ...(this.outputDim !== undefined && { outputDim: this.outputDim }),
      useBias: this.useBias,
      ...this.weightSettings.getConfig(),
    };
  }
}

/** The arguments, before tfjs's own layer reads those that are its own. */
function checkedArgs<T extends ProjectedAttentionArgs>(
  args: T,
  door: AttentionDoor,
  names: Readonly<Record<string, true>>,
): T {
  door.known(args, names);
  checkLayerArgs(args, door);
  return args;
}

/** The options among the arguments of a layer; null, as Keras writes it, is not given. */
export function givenOptions<T extends object>(args: T, names: Readonly<Record<string, true>>): Partial<T> {
  return Object.fromEntries(
    Object.entries(args).filter(([name, value]) => Object.hasOwn(names, name) && value != null),
  ) as Partial<T>;
}

function oneShape(shape: Shape | Shape[]): Shape {
  return (Array.isArray(shape[0]) ? shape[0] : shape) as Shape;
}
