/** What a call costs beside its kernels: compilation the first time, and host work every time. */
import * as tf from '@tensorflow/tfjs-core';
import { profile } from 'tfjs-lsh-attention/webgpu';
import type { Context } from '../context.js';
import type { Params } from '../findings.js';
import { SETS } from '../inputs.js';
import type { Variant } from '../options.js';
import { timed } from '../ours.js';
import { spread } from '../statistics.js';
import type { Given, Way } from '../ways.js';

/** So little work that kernels do not hide the rest. */
const SMALL = { B: 1, H: 1, L: 64 };
const RUNS = 25;

/** Call it before anything else has compiled the way's kernels on the device. */
export async function benchOverhead(
  { devices, inputs, findings, progress }: Context,
  way: Way,
  variant: Variant,
  params: Params,
): Promise<void> {
  const small: Params = { ...params, ...SMALL };
  const { B, H, L, D } = small;
  const known = findings.calls.some(
    (call) =>
      call.name === way.name &&
      call.variant === variant &&
      JSON.stringify(call.params) === JSON.stringify(small),
  );
  if (known) {
    return;
  }
  devices.use(variant);
  const [set] = SETS as [(typeof SETS)[0]];
  const part = (start: number) => tf.tensor(inputs.part(start, B * H * L * D), [B, H, L, D]);
  const given: Given = { q: part(set.q), v: part(set.v), k: tf.scalar(0) };
  const call = () => way.call(given, small);
  const read = () => tf.add(given.v, given.q);
  await timed(read);
  const firstMs = await timed(call);
  const [whole, reading, kernels]: number[][] = [[], [], []];
  for (let run = 0; run < RUNS; run++) {
    whole?.push(await timed(call));
    reading?.push(await timed(read));
    const { result, milliseconds } = await profile(() => tf.tidy(call));
    result.dispose();
    kernels?.push(milliseconds);
  }
  tf.dispose([given.q, given.v, given.k]);
  // The least of each: what else the machine does adds to a few milliseconds more than they are.
  const least = (samples?: number[]) => spread(samples as number[]).min;
  const overheadMs = least(whole) - least(reading) - least(kernels);
  findings.calls.push({ name: way.name as 'lsh' | 'dense', variant, params: small, firstMs, overheadMs });
  progress(
    `${way.name} ${variant}: first call ${firstMs.toFixed(0)} ms, overhead ${overheadMs.toFixed(2)} ms`,
  );
}
