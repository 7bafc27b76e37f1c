import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door } from '../door.js';
import { currentDevice, onWebGPU } from '../webgpu/backend.js';
import { setTuning, traitsOf, tuningOf, type Variant } from '../webgpu/traits.js';
import { denseAttention } from './dense/denseAttention.js';
import { AttentionDoor } from './door.js';
import { lshAttention } from './lshAttention.js';
import { useSubgroups } from './subgroups.js';
import { FAMILIES, type Family, type Tuning, variantsOf } from './variants.js';

/** What {@link autotune} measures with, and how. */
export interface AutotuneOptions {
  /** H. @default 8 */
  readonly heads?: number;
  /** L. @default 2048 */
  readonly length?: number;
  /** D and E. @default 64 */
  readonly depth?: number;
  /** Timed runs of each variant, of which the median counts. @default 5 */
  readonly runs?: number;
  /** Called before each variant is measured. */
  readonly onProgress?: (done: { readonly measured: number; readonly of: number }) => void;
}

const NAMES: Record<keyof AutotuneOptions, true> = {
  ...{ heads: true, length: true, depth: true, runs: true, onProgress: true },
};

/** One measurement of {@link autotune}. */
export interface TunedVariant extends Variant {
  /** What it is a way to do. */
  readonly family: Family;
  /** Median of a call; of forward and gradient, for a backward family. */
  readonly milliseconds: number;
}

/** What {@link autotune} found, as plain JSON: keep it, and give it to {@link useTuning} the next time. */
export interface TuningReport {
  /** The adapter that was measured. */
  readonly adapter: string;
  /** The fastest of each family. */
  readonly tuning: Tuning;
  /** All that was measured. */
  readonly measured: readonly TunedVariant[];
}

/**
 * Measures the variants of every kernel that the device of tfjs's WebGPU backend can run, and uses the
 * fastest of each from now on. Results differ from variant to variant by rounding alone; for one variant
 * they are the same to the last bit, so fix the choice by {@link useTuning} where that matters.
 *
 * @throws Error where the backend is another, or tfjs has no gradients; RangeError for what no call accepts.
 */
export async function autotune(options: AutotuneOptions = {}): Promise<TuningReport> {
  const door = new AttentionDoor('autotune');
  door.known(options, NAMES);
  door.callback('onProgress', options.onProgress);
  const device = deviceFor(door);
  if (tf.getGradient('Reshape') === undefined) {
    throw door.failure("tfjs has no gradients of its ops yet. Import '@tensorflow/tfjs-layers' first.");
  }
  const H = door.integer('heads', options.heads ?? 8, 1);
  const L = door.integer('length', options.length ?? 2048, 1);
  const depth = door.integer('depth', options.depth ?? 64, 1);
  const runs = door.integer('runs', options.runs ?? 5, 1);
  const shape = door.letters({ B: 1, H, L, D: depth, E: depth });
  const before = tuningOf(device);
  const candidates = FAMILIES.map((family) => ({
    family,
    variants: variantsOf(family, shape, traitsOf(device)),
  }));
  const of = candidates.reduce((sum, { variants }) => sum + variants.length, 0);
  const qk = tf.randomNormal([1, H, L, depth], 0, 1, 'float32', 1);
  const v = tf.randomNormal([1, H, L, depth], 0, 1, 'float32', 2);
  const measured: TunedVariant[] = [];
  let tuning: Tuning = {};
  try {
    for (const { family, variants } of candidates) {
      const tried: TunedVariant[] = [];
      for (const variant of variants) {
        options.onProgress?.({ measured: measured.length + tried.length, of });
        setTuning(device, { ...tuning, [family]: variant });
        tried.push({ family, ...variant, milliseconds: await timed(() => CALLS[family](qk, v), runs, door) });
      }
      const fastest = tried.reduce((a, b) => (b.milliseconds < a.milliseconds ? b : a));
      tuning = { ...tuning, [family]: variants[tried.indexOf(fastest)] as Variant };
      measured.push(...tried);
    }
  } catch (error) {
    setTuning(device, before);
    throw error;
  } finally {
    tf.dispose([qk, v]);
  }
  setTuning(device, tuning);
  return { adapter: nameOf(device), tuning, measured };
}

/**
 * Uses what {@link autotune} found earlier, on this device or one of the same adapter.
 *
 * @returns false, and changes nothing, where it was found on another adapter.
 * @throws Error where the backend is not WebGPU, TypeError for what is no report.
 */
export function useTuning(report: Pick<TuningReport, 'adapter' | 'tuning'>): boolean {
  const door = new Door('useTuning');
  const device = deviceFor(door);
  const same = door.object('report', report).adapter === nameOf(device);
  if (same) {
    setTuning(device, door.object('tuning', report.tuning));
  }
  return same;
}

function deviceFor(door: Door): GPUDevice {
  if (!onWebGPU()) {
    throw door.failure(
      `there is nothing to tune on the ${tf.getBackend()} backend. Call tf.setBackend('webgpu'), or useOwnDevice(), first.`,
    );
  }
  useSubgroups();
  return currentDevice();
}

function nameOf({ adapterInfo: info }: GPUDevice): string {
  return [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean).join(' ');
}

type Call = (qk: Tensor, v: Tensor) => Tensor;

const gradientOf =
  (attend: Call): Call =>
  (qk, v) =>
    tf.add(...(tf.grads(attend as (...args: Tensor[]) => Tensor)([qk, v], v) as [Tensor, Tensor]));

const CALLS: Readonly<Record<Family, Call>> = {
  'attend/forward': (qk, v) => lshAttention(qk, v),
  'attend/backward': gradientOf((qk, v) => lshAttention(qk, v)),
  'dense/forward': (qk, v) => denseAttention(qk, v),
  'dense/backward': gradientOf((qk, v) => denseAttention(qk, v)),
};

/** Median milliseconds, after a run that compiles. */
async function timed(call: () => Tensor, runs: number, door: Door): Promise<number> {
  const times: number[] = [];
  for (let run = -1; run < runs; run++) {
    const start = performance.now();
    const last = tf.tidy(() => tf.slice(tf.reshape(call(), [-1]), 0, 1));
    try {
      await door.values(last);
    } finally {
      last.dispose();
    }
    if (run >= 0) {
      times.push(performance.now() - start);
    }
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}
