/** Climbs from short memories to long ones, as far as the time lasts. */
import { freemem } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { type AttentionWithLse, denseAttentionWithLse, lshAttentionWithLse, plan } from 'tfjs-lsh-attention';
import { currentDevice } from 'tfjs-lsh-attention/webgpu';
import { bytes, count, seconds } from '../output/numbers.js';
import type { Corpus } from './corpus.js';
import { exactAnswers } from './exact.js';
import { finished, measure, upload } from './measure.js';
import { D, E, type Memory, memoryOf } from './memory.js';
import { METHODS, type Method, QUOTED, type Result, ROUNDS, type Step } from './result.js';
import { predictions, score } from './score.js';

const SHORTEST = 1024;
/** Every second one of the last 1,024 words is asked for, at every length. */
export const QUESTIONS = 512;
/** Dense may take this share of the time left; the rest is for longer memories. */
const DENSE_SHARE = 0.4;
/** A doubled length multiplies the time by about this, with some reserve. */
const GROWTH = { dense: 4.2, lsh: 2.2 };

export interface Watcher {
  /** A new length is begun. */
  step(step: Step): void;
  /** Something that takes about `seconds` is begun. */
  busy(what: string, seconds?: number): void;
  result(result: Result, step: Step): void;
  /** A method, or all, ends here, for a reason. */
  stopped(reason: string): void;
}

export class Ladder {
  readonly steps: Step[] = [];
  private readonly costs = new Map<Method | 'exact', { length: number; seconds: number }>();
  private denseEnded = false;

  /**
   * @param deadline in the milliseconds of performance.now().
   * @param stopped whether the user has had enough.
   */
  constructor(
    private readonly corpus: Corpus,
    /** The adapter shares this machine's memory. */
    private readonly inMainMemory: boolean,
    private readonly deadline: number,
    private readonly stopped: () => boolean,
    private readonly watcher: Watcher,
  ) {}

  async climb(): Promise<void> {
    await this.warmUp();
    for (let length = SHORTEST; !this.stopped(); length *= 2) {
      const reason = this.reasonToEnd(length);
      if (reason !== undefined) {
        this.watcher.stopped(`The ladder ends here: ${reason}`);
        return;
      }
      await this.step(length);
    }
  }

  /** Positions are those of the corpus's last words: the same questions at every length. */
  private async step(length: number): Promise<void> {
    const { words } = this.corpus;
    const end = words.length - 1;
    const positions = Int32Array.from({ length: QUESTIONS }, (_, n) => length - 2 * (QUESTIONS - n) + 1);
    const truth = Array.from(positions, (position) => words[end - length + position + 1] as number);
    const step: Step = { length, truth, results: [], exactRight: Number.NaN };
    this.steps.push(step);
    this.watcher.step(step);

    this.watcher.busy('exact answers in JavaScript', this.expected('exact', length));
    const begin = performance.now();
    const memory = memoryOf(words, end, length);
    const candidates = [...new Set(words.subarray(end - length + 1, end + 1))];
    const exact = exactAnswers(memory, positions);
    step.exactRight = score(exact, exact, predictions(exact, candidates), truth).right;
    this.costs.set('exact', { length, seconds: (performance.now() - begin) / 1000 });

    const qk = tf.tensor2d(memory.qk, [length, D]);
    const v = tf.tensor2d(memory.v, [length, E]);
    await upload(qk);
    await upload(v);
    for (const method of METHODS) {
      if (this.stopped() || !this.affordable(method, length)) {
        continue;
      }
      this.watcher.busy(method, this.expected(method, length));
      const start = performance.now();
      const { answers, ...measured } = await measure(() => attend(method, qk, v), bytesOf(memory), positions);
      const predicted = predictions(answers, candidates);
      const result = { method, length, ...measured, ...score(answers, exact, predicted, truth) };
      this.costs.set(method, { length, seconds: (performance.now() - start) / 1000 });
      step.results.push(result);
      this.watcher.result(result, step);
    }
    tf.dispose([qk, v]);
  }

  /** Compiles every kernel, which more rounds use as well. */
  private async warmUp(): Promise<void> {
    const qk = tf.randomNormal([SHORTEST, D], 0, 1, 'float32', 1);
    for (const method of ['dense', 'LSH 1', 'LSH 2'] as const) {
      if (this.stopped()) {
        break;
      }
      this.watcher.busy(`compiling ${method}`);
      const start = performance.now();
      const { out, lse } = attend(method, qk, qk);
      await finished(out);
      this.costs.set(method, { length: SHORTEST, seconds: (performance.now() - start) / 1000 });
      tf.dispose([out, lse]);
    }
    qk.dispose();
  }

  /** Until the deadline, less what the quotations will take. */
  private secondsLeft(): number {
    const reserve = 1.2 * (this.costs.get(QUOTED)?.seconds ?? 0);
    return Math.max(0, (this.deadline - performance.now()) / 1000 - reserve);
  }

  private expected(method: Method | 'exact', length: number): number {
    const last = this.costs.get(method);
    const growth = method === 'dense' ? GROWTH.dense : GROWTH.lsh;
    return last === undefined ? 0 : last.seconds * growth ** Math.log2(length / last.length);
  }

  private affordable(method: Method, length: number): boolean {
    if (length === SHORTEST) {
      return true; // something is measured, however slow the compiler
    }
    const left = this.secondsLeft();
    const needed = this.expected(method, length);
    if (method !== 'dense') {
      const fits = (method === QUOTED ? 2 : 1) * needed <= left;
      if (!fits) {
        this.watcher.stopped(
          `${method} is left out: it would take about ${seconds(needed)}, of ${seconds(left)} left.`,
        );
      }
      return fits;
    }
    if (this.denseEnded) {
      return false;
    }
    const last = this.last('dense');
    const space = 4 * (last?.peakBytes ?? 0); // at most: it grows less once queries go in blocks
    if (this.inMainMemory && space > freemem()) {
      this.denseEnded = true;
      this.watcher.stopped(
        `Dense stops: it may need ${bytes(space)}, of ${bytes(freemem())} free. LSH goes on.`,
      );
    } else if (needed > DENSE_SHARE * left) {
      this.denseEnded = true;
      const share = `more than ${100 * DENSE_SHARE} % of the ${seconds(left)} left`;
      this.watcher.stopped(`Dense stops: it would take about ${seconds(needed)}, ${share}. LSH goes on.`);
    }
    return !this.denseEnded;
  }

  private reasonToEnd(length: number): string | undefined {
    if (length >= this.corpus.words.length) {
      return `there are fewer than ${count(length)} words.`;
    }
    const { limits } = currentDevice();
    try {
      plan({ L: length, D, E }, { causal: true, numHashes: ROUNDS[0] }, limits);
    } catch (error) {
      return `${(error as Error).message}`;
    }
    const needed = this.expected('exact', length) + this.expected('LSH 1', length);
    const left = this.secondsLeft();
    return length > SHORTEST && needed > left
      ? `${count(length)} words would take ${seconds(needed)} or more, of ${seconds(left)} left.`
      : undefined;
  }

  last(method: Method): Result | undefined {
    return this.steps
      .flatMap(({ results }) => results)
      .filter((result) => result.method === method)
      .at(-1);
  }
}

function attend(method: Method, qk: tf.Tensor, v: tf.Tensor): AttentionWithLse {
  return method === 'dense'
    ? denseAttentionWithLse(qk, v, { causal: true })
    : lshAttentionWithLse(qk, v, { causal: true, numHashes: Number(method.slice(4)) });
}

function bytesOf({ qk, v }: Memory): number {
  return qk.byteLength + v.byteLength;
}
