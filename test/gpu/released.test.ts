import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Reformer } from '../../src/reformer/index.js';
import { measureBytes } from '../../src/webgpu/backend.js';
import { BACKENDS, onBackend } from '../call.js';
import { integers } from '../inputs.js';
import { at } from '../oracle/shape.js';
import { RELEASED } from '../released.js';

/** Which of them to run, by name. */
const wanted = (process.env.LSH_RELEASED ?? '').split(',');
const LENGTH = Number(process.env.LSH_RELEASED_LENGTH ?? 4096);
/** Tokens of the step of training, which takes six times a forward pass: fewer suit a software adapter. */
const STEP_LENGTH = Number(process.env.LSH_RELEASED_STEP ?? LENGTH);

describe.runIf(BACKENDS.includes('webgpu'))('on webgpu', () => {
  for (const [name, { config, parameters }] of Object.entries(RELEASED)) {
    if (!wanted.includes(name)) {
      console.info(
        `skipped: ${name} takes minutes to an hour on a software adapter. LSH_RELEASED=${name} runs it.`,
      );
    }
    test.runIf(wanted.includes(name))(
      `${name} runs forward at ${LENGTH} tokens and takes a step of training at ${STEP_LENGTH}`,
      async () => {
        await onBackend('webgpu', async () => {
          const took = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
          let start = performance.now();
          const model = new Reformer(config);
          const size = [...model.weights.values()].reduce((sum, weight) => sum + weight.size, 0);
          expect(size).toBe(parameters);
          console.info(`${name}: ${size} parameters, drawn in ${took(start)}`);

          const ids = tf.tensor(integers(LENGTH, config.vocab_size, 1), [1, LENGTH], 'int32');
          start = performance.now();
          const logits = model.logits(ids);
          expect(logits.shape).toEqual([1, LENGTH, config.vocab_size]);
          const last = await tf.slice(logits, [0, LENGTH - 1, 0], [1, 1, 1]).data();
          expect(Number.isFinite(at(last, 0))).toBe(true);
          console.info(`${name}: forward ${took(start)}`);
          logits.dispose();

          start = performance.now();
          const some = tf.slice(ids, [0, 0], [1, STEP_LENGTH]);
          const optimizer = tf.train.sgd(0.1);
          const { result: loss, peakBytes } = measureBytes(
            () => optimizer.minimize(() => model.loss(some, some, { training: true }), true) as tf.Scalar,
          );
          const before = at(await loss.data(), 0);
          // New logits have the variance 2·hidden_size·0.02², half of which a loss has beyond the even guess's.
          const expected = Math.log(config.vocab_size) + config.hidden_size * 0.02 ** 2;
          expect(Math.abs(before - expected)).toBeLessThan(0.2);
          console.info(
            `${name}: step ${took(start)}, loss ${before.toFixed(4)}, peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB beyond the weights, of which gradients ${((4 * size) / 2 ** 20).toFixed(0)}`,
          );
          const drift = await model.reconstructionDrift(some);
          console.info(`${name}: drift ${[...drift].map((x) => x.toExponential(1)).join(' ')}`);
          model.dispose();
          tf.dispose([ids, some]);
        });
      },
      2 * 3600_000,
    );
  }
});
