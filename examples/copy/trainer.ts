/** One model on its way: steps, accuracy, and what a checkpoint needs to go on from here. */
import * as tf from '@tensorflow/tfjs-core';
import type { StoredTensor } from 'tfjs-lsh-attention/reformer';
import type { Checkpoint } from './checkpoint.js';
import { type Attention, languageModel, type ModelShape } from './model.js';
import { type Purpose, sequences } from './task.js';

/** All that decides what a run computes, but for the number of its steps. */
export interface Recipe extends ModelShape {
  /** What the model is trained with. */
  readonly attention: Attention;
  /** Sequences of a step. */
  readonly batch: number;
  /** The highest learning rate. */
  readonly rate: number;
  readonly seed: number;
}

export interface Point {
  readonly step: number;
  readonly value: number;
}

/** What has been seen of a run so far. */
export interface History {
  /** The loss of every step. */
  readonly losses: number[];
  /** On sequences that are not trained on. */
  readonly accuracies: Point[];
}

/** What a checkpoint says about itself. */
interface About extends History {
  readonly recipe: Recipe;
  readonly step: number;
  readonly trainingStep: number;
  readonly iterations: number;
}

/** Adam, at a rate that changes. */
class ScheduledAdam extends tf.AdamOptimizer {
  set rate(rate: number) {
    this.learningRate = rate;
  }
}

const WARM_UP = 50;
/** The share of the highest rate that is left at the end. */
const LEAST_RATE = 0.02;

/** Sequences that are evaluated at once. */
const EVALUATED_AT_ONCE = 32;

export class Trainer {
  step = 0;
  readonly history: History = { losses: [], accuracies: [] };
  private readonly made: ReturnType<typeof languageModel>;
  private readonly variables: tf.Variable[];
  private readonly optimizer: ScheduledAdam;

  constructor(readonly recipe: Recipe) {
    this.made = languageModel(recipe, recipe.attention, recipe.seed);
    this.variables = this.made.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    // A second moment of shorter memory than usual suits a run of a thousand steps.
    this.optimizer = new ScheduledAdam(recipe.rate, 0.9, 0.98, 1e-8);
  }

  /** One step of `steps`; returns its loss. */
  async train(steps: number): Promise<number> {
    const { recipe, step } = this;
    this.optimizer.rate = recipe.rate * rateAt(step, steps);
    const cost = tf.tidy(
      () => this.optimizer.minimize(() => this.loss(step), true, this.variables) as tf.Scalar,
    );
    const [loss] = await cost.data();
    cost.dispose();
    if (!Number.isFinite(loss)) {
      throw new Error(`The loss is ${loss} at step ${step + 1}. Start over with --fresh and a lower --rate.`);
    }
    this.step++;
    this.history.losses.push(loss as number);
    return loss as number;
  }

  private loss(step: number): tf.Scalar {
    const { asked, truth } = this.answers(this.made.model, this.recipe.batch, step, 'train');
    return tf.losses.softmaxCrossEntropy(tf.oneHot(truth, this.recipe.vocabulary), asked);
  }

  /** Logits for the second w, `[count·|w|, vocabulary]`, and its symbols, `[count·|w|]`. */
  private answers(
    model: ReturnType<typeof languageModel>['model'],
    count: number,
    step: number,
    purpose: Purpose,
  ) {
    const { length, vocabulary, seed } = this.recipe;
    const half = length / 2;
    const symbols = tf.tensor2d(
      sequences(this.recipe, count, { seed, step, purpose }),
      [count, length],
      'int32',
    );
    const logits = model.apply(symbols, { training: purpose === 'train' }) as tf.Tensor3D;
    // What is said at a position is about the one after it.
    const asked = tf.slice(logits, [0, half, 0], [count, half - 1, vocabulary]);
    const truth = tf.slice(symbols, [0, half + 1], [count, half - 1]);
    return {
      asked: tf.reshape(asked, [-1, vocabulary]) as tf.Tensor2D,
      truth: tf.reshape(truth, [-1]) as tf.Tensor1D,
    };
  }

  /**
   * The share of the second w that a model with these weights says rightly, on sequences that are not
   * trained on; over `hashes` draws of the rotations.
   */
  async accuracy(
    attention: Attention,
    { batches, hashes }: { batches: number; hashes: number },
  ): Promise<number> {
    let sum = 0;
    for (let hash = 0; hash < hashes; hash++) {
      const { model } = languageModel(this.recipe, attention, 1000 + hash);
      model.setWeights(this.made.model.getWeights());
      for (let batch = 0; batch < batches; batch++) {
        const right = tf.tidy(() => {
          const step = hash * batches + batch;
          const { asked, truth } = this.answers(model, EVALUATED_AT_ONCE, step, 'evaluate');
          return tf.mean(tf.cast(tf.equal(tf.argMax(asked, 1), truth), 'float32'));
        });
        sum += (await right.data())[0] as number;
        right.dispose();
      }
      model.dispose();
    }
    return sum / (hashes * batches);
  }

  async checkpoint(): Promise<Checkpoint> {
    const weights = this.made.model.getWeights().map((tensor, n) => ({ name: `weight.${n}`, tensor }));
    const [iterations, ...moments] = await this.optimizer.getWeights();
    const tensors = new Map<string, StoredTensor>();
    for (const { name, tensor } of [
      ...weights,
      ...moments.map(({ tensor }, n) => ({ name: `moment.${n}`, tensor })),
    ]) {
      tensors.set(name, { shape: tensor.shape, values: (await tensor.data()) as Float32Array<ArrayBuffer> });
    }
    const about: About = {
      recipe: this.recipe,
      step: this.step,
      trainingStep: this.made.layer.trainingStep,
      iterations: ((await iterations?.tensor.data()) ?? [0])[0] as number,
      ...this.history,
    };
    iterations?.tensor.dispose();
    return { about, tensors };
  }

  /**
   * Goes on where a run was left.
   * @throws Error for a run of another recipe.
   */
  async restore({ about, tensors }: Checkpoint, path: string): Promise<void> {
    const { recipe, step, trainingStep, iterations, losses, accuracies } = about as About;
    for (const name of Object.keys(this.recipe) as (keyof Recipe)[]) {
      if (recipe?.[name] !== this.recipe[name]) {
        throw new Error(
          `The checkpoint ${path} is of a run with ${name} ${recipe?.[name]}, not ${this.recipe[name]}. Give the options of that run, another --checkpoint, or --fresh to start over.`,
        );
      }
    }
    const of = (kind: string) =>
      [...tensors]
        .filter(([name]) => name.startsWith(kind))
        .map(([name, { shape, values }]) => ({ name, tensor: tf.tensor(values, shape as number[]) }));
    const [weights, moments] = [of('weight.'), of('moment.')];
    this.made.model.setWeights(weights.map(({ tensor }) => tensor));
    const count = { name: 'iter', tensor: tf.scalar(iterations, 'int32') };
    await this.optimizer.setWeights([count, ...moments]);
    tf.dispose([weights, moments, count].flat().map(({ tensor }) => tensor));
    this.made.layer.trainingStep = trainingStep;
    this.step = step;
    this.history.losses.push(...losses);
    this.history.accuracies.push(...accuracies);
  }

  dispose(): void {
    this.made.model.dispose();
    this.optimizer.dispose();
  }
}

/** The share of the highest rate: a linear rise, then half a cosine. */
function rateAt(step: number, steps: number): number {
  const fall = 0.5 * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps));
  return Math.min(1, (step + 1) / WARM_UP) * (LEAST_RATE + (1 - LEAST_RATE) * fall);
}
