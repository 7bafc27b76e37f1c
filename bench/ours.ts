/** The ways of ways.ts as entrants: timed, and held against float64. */
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { lshBuckets } from 'tfjs-lsh-attention';
import { currentDevice, measureBytes } from 'tfjs-lsh-attention/webgpu';
import { composedBuckets } from '../src/attention/composed/hash.js';
import { AttentionDoor } from '../src/attention/door.js';
import type { Devices } from './devices.js';
import type { Case, Entrant, Entry } from './entrant.js';
import { denseRow, errorOf, lshRow, type Tensors } from './exact.js';
import type { Params } from './findings.js';
import { gradientError } from './gradients.js';
import { type Inputs, SETS } from './inputs.js';
import type { BenchOptions, Variant } from './options.js';
import { type Given, trained, type Way } from './ways.js';

/** Errors beyond this are no rounding. */
const WRONG = 1e-4;
const WRONG_GRADIENT = 1e-3;

/** A way on a device, as an entrant. */
export function ours(way: Way, variant: Variant, devices: Devices, options: BenchOptions): Entrant {
  return {
    ...{ name: way.name, variant, power: way.power },
    unable: (test) => tooLarge(way, test, devices, variant),
    prepare: async (test, inputs) => {
      devices.use(variant);
      return await prepared(way, test, inputs, options, () => devices.use(variant));
    },
  };
}

/** Logits of dense attention as tf ops are one tensor, which a binding may not hold: it would read as zeros. */
function tooLarge(way: Way, { params }: Case, devices: Devices, variant: Variant): string | undefined {
  if (way.name !== 'tfjs') {
    return undefined;
  }
  devices.use(variant);
  const { B, H, L } = params;
  const binding = currentDevice().limits.maxStorageBufferBindingSize;
  return 4 * B * H * L * L > binding
    ? `its logits take more than the ${binding} bytes of a binding`
    : undefined;
}

async function prepared(
  way: Way,
  { suite, params }: Case,
  inputs: Inputs,
  options: BenchOptions,
  here: () => void,
): Promise<Entry> {
  const { B, H, L, D } = params;
  const count = B * H * L * D;
  const given = SETS.map(({ q, k, v }): Given => {
    const part = (start: number) => tf.tensor(inputs.part(start, count), [B, H, L, D]);
    return { q: part(q), v: part(v), k: way.separate ? part(k) : tf.scalar(0) };
  });
  const trains = suite === 'training';
  const step = (set: number) =>
    trains ? trained(way, given[set] as Given, params) : way.call(given[set] as Given, params);
  try {
    // Uploads, so that what is measured is the call.
    await tf
      .tidy(() => tf.slice(tf.add((given[0] as Given).q, (given[0] as Given).v), [0, 0, 0, 0], [1, 1, 1, 1]))
      .data();
    for (const { q } of given) {
      await way.prepare?.(q, params);
    }
    // First of all: what is kept on the device counts too.
    const { result, peakBytes } = measureBytes(() => tf.tidy(() => way.call(given[0] as Given, params)));
    const out = (await result.data()) as Float32Array;
    result.dispose();
    const forwardError = await checked(way, out, params, inputs, given[0] as Given, options);
    if (!(forwardError < WRONG)) {
      throw new Error(
        `${way.name} is off float64 by ${forwardError.toExponential(1)}: no time is worth printing.`,
      );
    }
    const gradientsOff = trains && !way.separate ? await gradientError(way, params, options) : 0;
    if (!(gradientsOff < WRONG_GRADIENT)) {
      throw new Error(`the gradient of ${way.name} is off float64 by ${gradientsOff.toExponential(1)}.`);
    }
    return {
      maxError: Math.max(forwardError, gradientsOff),
      bytesPeak: peakBytes + 4 * count * (way.separate ? 3 : 2),
      run: (set) => {
        here();
        return timed(() => step(set));
      },
      dispose: () => tf.dispose(given as unknown as tf.TensorContainer),
    };
  } catch (fault) {
    tf.dispose(given as unknown as tf.TensorContainer);
    throw fault;
  }
}

/** Milliseconds of a call until a number of its result is there, and with it all that was submitted before. */
export async function timed(call: () => Tensor): Promise<number> {
  const start = performance.now();
  const last = tf.tidy(() => tf.slice(tf.reshape(call(), [-1]), 0, 1));
  await last.data();
  const milliseconds = performance.now() - start;
  last.dispose();
  return milliseconds;
}

/** The error of a way's output against float64. */
export async function checked(
  way: Way,
  out: Float32Array,
  params: Params,
  inputs: Inputs,
  { q }: Given,
  { rotation }: Pick<BenchOptions, 'rotation'>,
): Promise<number> {
  const { B, H, L, D, R, C, causal } = params;
  const [set] = SETS as [(typeof SETS)[0]];
  const part = (start: number) => inputs.part(start, B * H * L * D);
  const tensors: Tensors = {
    q: part(set.q),
    v: part(set.v),
    ...(way.separate && { k: part(set.k) }),
    at: (head, token) => (head * L + token) * D,
    scale: way.separate ? 1 / Math.sqrt(D) : 1,
  };
  if (way.power === 2) {
    return errorOf(out, (place) => denseRow(tensors, params, place), tensors, params);
  }
  const options = { numHashes: R, chunkLength: C, causal, rotation };
  const found = tf.tidy(() => {
    const door = new AttentionDoor('bench');
    const shape = door.shape(q, q);
    return way.name === 'composed'
      ? composedBuckets({ qk: q }, shape, door.settings(shape, options))
      : lshBuckets(q, options);
  });
  const buckets = (await found.data()) as Int32Array;
  found.dispose();
  return errorOf(out, (place) => lshRow(tensors, params, buckets, place), tensors, params);
}
