/** Climbs a ladder of lengths; who becomes too slow or too large drops out. */
import * as tf from '@tensorflow/tfjs-core';
import { currentDevice, measureBytes } from 'tfjs-lsh-attention/webgpu';
import { finished, upload } from '../../speeches/measure.js';
import type { Device, OpenEngine } from '../page/messages.js';
import { attendAs, growthOf, largestTensor } from './contestants.js';
import {
  CONTESTANTS,
  type Contestant,
  DEPTH,
  FIRST_LENGTH,
  type Lap,
  type RaceNews,
  type RaceSettings,
} from './settings.js';

/** A call that would take longer is not made, in milliseconds. */
const PATIENCE = 6000;
/** Calls are repeated for about so long, in milliseconds. */
const REPEAT = 400;
const MOST_RUNS = 9;
/** Beyond this, tensors on a processor are not tried. */
const MOST_BYTES = 2 ** 30;

export const openRace: OpenEngine<RaceSettings, undefined, RaceNews> = (device, tell) => async (settings) => {
  const racing = new Set(CONTESTANTS);
  const last = new Map<Contestant, number>();
  for (let length = FIRST_LENGTH; length <= settings.longest && racing.size > 0; length *= 2) {
    const [qk, v] = [1, 2].map((seed) =>
      tf.randomNormal([1, settings.heads, length, DEPTH], 0, 1, 'float32', seed),
    ) as [tf.Tensor, tf.Tensor];
    await upload(qk);
    await upload(v);
    for (const who of racing) {
      const expected = (last.get(who) ?? 0) * growthOf(who);
      const reason = reasonToStop(who, length, settings, expected, device);
      if (reason !== undefined) {
        racing.delete(who);
        tell({ kind: 'out', who, length, reason });
        continue;
      }
      tell({ kind: 'busy', who, length });
      const lap = { who, length, ...(await measured(() => attendAs(who, qk, v, settings), device)) };
      last.set(who, lap.ms);
      tell({ kind: 'lap', lap });
    }
    tf.dispose([qk, v]);
  }
  return undefined;
};

function reasonToStop(
  who: Contestant,
  length: number,
  settings: RaceSettings,
  expected: number,
  device: Device,
): string | undefined {
  const largest = largestTensor(who, length, settings);
  const most = mostBytes(device);
  if (largest > most) {
    return `needs a tensor of ${mebibytes(largest)}; the most here is ${mebibytes(most)}`;
  }
  return expected > PATIENCE ? `would take about ${Math.round(expected / 1000)} s a call` : undefined;
}

function mostBytes({ backend }: Device): number {
  if (backend !== 'webgpu') {
    return MOST_BYTES;
  }
  const { maxStorageBufferBindingSize, maxBufferSize } = currentDevice().limits;
  return Math.min(maxStorageBufferBindingSize, maxBufferSize);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MiB`;
}

/** The first call compiles kernels and tells the memory; those after it tell the time. */
async function measured(attend: () => tf.Tensor, device: Device): Promise<Omit<Lap, 'who' | 'length'>> {
  const bytes = await peakBytes(attend, device);
  const times: number[] = [];
  let spent = 0;
  while (times.length === 0 || (spent < REPEAT && times.length < MOST_RUNS)) {
    const start = performance.now();
    const out = attend();
    await finished(out);
    const ms = performance.now() - start;
    times.push(ms);
    spent += ms;
    out.dispose();
  }
  times.sort((a, b) => a - b);
  return { bytes, runs: times.length, ms: times[Math.floor(times.length / 2)] as number };
}

async function peakBytes(attend: () => tf.Tensor, { backend }: Device): Promise<number> {
  if (backend === 'webgpu') {
    const { result, peakBytes } = measureBytes(attend);
    await finished(result);
    result.dispose();
    return peakBytes;
  }
  const before = tf.memory().numBytes;
  const { peakBytes } = await tf.profile(() => {
    attend().dispose();
  });
  return peakBytes - before;
}
