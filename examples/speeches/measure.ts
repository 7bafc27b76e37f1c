/** Time and GPU memory of an attention, measured. */

import * as tf from '@tensorflow/tfjs-core';
import type { AttentionWithLse } from 'tfjs-lsh-attention';
import { measureBytes } from 'tfjs-lsh-attention/webgpu';
import type { Answers } from './exact.js';

export interface Measurement {
  /** Of one call, until its result can be read: the median of `runs`. */
  readonly seconds: number;
  readonly runs: number;
  /** Most bytes of GPU buffers in use at once, inputs and outputs included. */
  readonly peakBytes: number;
  readonly answers: Answers;
}

/** Calls are repeated for about this long; a longer one runs once, and counts as it is. */
const REPEAT_SECONDS = 0.6;
const MOST_RUNS = 7;

/** Runs `attend`, and reads its rows at `positions`. Compile its kernels before, with a small input. */
export async function measure(
  attend: () => AttentionWithLse,
  inputBytes: number,
  positions: Int32Array,
): Promise<Measurement> {
  const times: number[] = [];
  const timed = async () => {
    const start = performance.now();
    const measured = measureBytes(attend);
    await finished(measured.result.out);
    times.push((performance.now() - start) / 1000);
    return measured;
  };
  const { result: first, peakBytes } = await timed();
  const answers = await read(first, positions);
  tf.dispose([first.out, first.lse]);
  let spent = times[0] as number;
  if (spent < REPEAT_SECONDS) {
    times.pop(); // the first call also makes buffers that later calls find in tfjs's pool
  }
  while (spent < REPEAT_SECONDS && times.length < MOST_RUNS) {
    const { result } = await timed();
    tf.dispose([result.out, result.lse]);
    spent += times.at(-1) as number;
  }
  times.sort((a, b) => a - b);
  const seconds = times[Math.floor(times.length / 2)] as number;
  return { seconds, runs: times.length, peakBytes: inputBytes + peakBytes, answers };
}

/** Waits until the GPU has written `tensor`. */
export async function finished(tensor: tf.Tensor): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await one.data();
  one.dispose();
}

/** Puts a tensor on the GPU, where tfjs would do so only when it is first used. */
export async function upload(tensor: tf.Tensor): Promise<void> {
  const copy = tf.neg(tensor);
  await finished(copy);
  copy.dispose();
}

/** Rows of an attention's result. */
async function read({ out, lse }: AttentionWithLse, positions: Int32Array): Promise<Answers> {
  const [outRows, lseRows] = tf.tidy(() => {
    const rows = tf.tensor1d(positions, 'int32');
    return [tf.gather(out, rows), tf.gather(lse, rows)] as const;
  });
  const answers = {
    out: (await outRows.data()) as Float32Array,
    lse: (await lseRows.data()) as Float32Array,
  };
  tf.dispose([outRows, lseRows]);
  return answers;
}
