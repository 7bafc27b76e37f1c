/** One model of bytes on its way: steps, held-out bits, and what a checkpoint needs to go on from here. */
import * as tf from '@tensorflow/tfjs-core';
import { ByteTokenizer, Reformer } from 'tfjs-lsh-attention/reformer';
import type { Point } from '../training/charts.js';
import type { Trainable } from '../training/loop.js';
import { ScheduledAdam, storedTensors } from '../training/optimizer.js';
import { randomNumbers } from '../training/random.js';
import { type Checkpoint, sameRecipe } from '../training/resume.js';
import { type Corpus, piecesOf } from './corpus.js';
import { configOf, type Recipe } from './recipe.js';
import { startWeights } from './start.js';

/** What has been seen of a run so far, in bits per byte. */
export interface History {
  /** Of every step. */
  readonly losses: number[];
  /** Of text that is not trained on. */
  readonly heldOut: Point[];
}

/** What a checkpoint says about itself. */
interface About extends History {
  readonly recipe: Recipe;
  readonly step: number;
  readonly iterations: number;
}

/** Held-out pieces that are looked at on the way. */
const PIECES_ON_THE_WAY = 2;

export class Trainer implements Trainable {
  step = 0;
  readonly history: History = { losses: [], heldOut: [] };
  readonly model: Reformer;
  private readonly optimizer: ScheduledAdam;
  private readonly tokenizer = new ByteTokenizer();

  constructor(
    readonly recipe: Recipe,
    private readonly corpus: Corpus,
  ) {
    this.model = new Reformer(configOf(recipe, this.tokenizer.vocabSize), { seed: recipe.seed });
    startWeights(this.model);
    this.optimizer = new ScheduledAdam(recipe);
  }

  /** One step of `steps`; returns its loss in bits per byte. */
  async train(steps: number): Promise<number> {
    const { step, model } = this;
    const rows = this.batch(step);
    // A model's own count of steps decides what it hashes by.
    const loss = () => model.loss(rows, rows, { training: true, ...this.window });
    const nats = await this.optimizer.descend(step, steps, loss, [...model.weights.values()]);
    this.step++;
    this.history.losses.push(nats / Math.LN2);
    return nats / Math.LN2;
  }

  async measure(): Promise<number> {
    const value = await this.heldOut(piecesOf(this.corpus.heldOut, this.recipe.length, PIECES_ON_THE_WAY));
    this.history.heldOut.push({ step: this.step, value });
    return value;
  }

  /**
   * Bits per byte of pieces of text. What LSH layers see are whole buckets, as when text is generated: no byte's
   * probability depends on later ones.
   */
  async heldOut(pieces: readonly Uint8Array[]): Promise<number> {
    let nats = 0;
    for (const piece of pieces) {
      const rows = [this.tokenizer.encode(piece)];
      const loss = this.model.loss(rows, rows, { window: 'bucket', ...this.window });
      nats += (await loss.data())[0] as number;
      loss.dispose();
    }
    return nats / pieces.length / Math.LN2;
  }

  async checkpoint(): Promise<Checkpoint> {
    const { iterations, tensors } = await this.optimizer.stored();
    const about: About = { recipe: this.recipe, step: this.step, iterations, ...this.history };
    return { about, tensors: new Map([...(await storedTensors(this.model.weights)), ...tensors]) };
  }

  async restore({ about, tensors }: Checkpoint, path: string): Promise<void> {
    const { recipe, step, iterations, losses, heldOut } = about as About;
    sameRecipe(path, recipe, this.recipe);
    for (const [name, weight] of this.model.weights) {
      const { values, shape } = tensors.get(name) as { values: Float32Array; shape: number[] };
      const saved = tf.tensor(values, shape);
      weight.assign(saved);
      saved.dispose();
    }
    await this.optimizer.restore(iterations, tensors);
    this.model.trainingStep = step;
    this.step = step;
    this.history.losses.push(...losses);
    this.history.heldOut.push(...heldOut);
  }

  dispose(): void {
    this.model.dispose();
    this.optimizer.dispose();
  }

  /** What LSH layers see in a run with exact attention. */
  private get window() {
    return this.recipe.attention === 'dense' ? ({ window: 'all' } as const) : {};
  }

  /** Sequences from anywhere in the training text; the same for the same seed and step. */
  private batch(step: number): number[][] {
    const { batch, length, seed } = this.recipe;
    const { training } = this.corpus;
    const random = randomNumbers(seed, step);
    return Array.from({ length: batch }, () => {
      const start = Math.floor(random() * (training.length - length));
      return this.tokenizer.encode(training.subarray(start, start + length));
    });
  }
}
