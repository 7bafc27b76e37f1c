/** One model on its way: steps, accuracy, and what a checkpoint needs to go on from here. */
import * as tf from '@tensorflow/tfjs-core';
import type { Point } from '../training/charts.js';
import type { Trainable } from '../training/loop.js';
import { ScheduledAdam, storedTensors } from '../training/optimizer.js';
import { type Checkpoint, sameRecipe } from '../training/resume.js';
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

/** Steps in which the rate rises. */
const WARM_UP = 50;

/** Sequences that are evaluated at once. */
const EVALUATED_AT_ONCE = 32;

export class Trainer implements Trainable {
  step = 0;
  readonly history: History = { losses: [], accuracies: [] };
  private readonly made: ReturnType<typeof languageModel>;
  private readonly variables: tf.Variable[];
  private readonly optimizer: ScheduledAdam;

  constructor(readonly recipe: Recipe) {
    this.made = languageModel(recipe, recipe.attention, recipe.seed);
    this.variables = this.made.model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    this.optimizer = new ScheduledAdam({ rate: recipe.rate, warmUp: WARM_UP });
  }

  /** One step of `steps`; returns its loss. */
  async train(steps: number): Promise<number> {
    const { step } = this;
    const loss = await this.optimizer.descend(step, steps, () => this.loss(step), this.variables);
    this.step++;
    this.history.losses.push(loss);
    return loss;
  }

  async measure(): Promise<number> {
    const value = await this.accuracy(this.recipe.attention, { batches: 1, hashes: 1 });
    this.history.accuracies.push({ step: this.step, value });
    return value;
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
    const weights = this.made.model.getWeights().map((tensor, n) => [`weight.${n}`, tensor] as const);
    const { iterations, tensors } = await this.optimizer.stored();
    const about: About = {
      recipe: this.recipe,
      step: this.step,
      trainingStep: this.made.layer.trainingStep,
      iterations,
      ...this.history,
    };
    return { about, tensors: new Map([...(await storedTensors(weights)), ...tensors]) };
  }

  async restore({ about, tensors }: Checkpoint, path: string): Promise<void> {
    const { recipe, step, trainingStep, iterations, losses, accuracies } = about as About;
    sameRecipe(path, recipe, this.recipe);
    const weights = [...tensors]
      .filter(([name]) => name.startsWith('weight.'))
      .map(([, { shape, values }]) => tf.tensor(values, [...shape]));
    this.made.model.setWeights(weights);
    tf.dispose(weights);
    await this.optimizer.restore(iterations, tensors);
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
