import * as tf from '@tensorflow/tfjs-core';
import { currentDevice, needFunction, onWebGPU } from './backend.js';
import { type Ceilings, measureCeilings } from './ceilings.js';
import { type Recorder, withRecorder } from './dispatch.js';
import { type KernelTime, kernelTimes, type PassTime, profileTable } from './profileTable.js';
import { whyLost } from './watch.js';

export type { KernelTime, PassTime } from './profileTable.js';

/** Options of {@link profile}. */
export interface ProfileOptions {
  /**
   * Measure what the device can do at most, in a second or less, once a device; every kernel then has its
   * `share` of it. @default false
   */
  readonly ceilings?: boolean;
}

/** The result of what was profiled, and the time of what it submitted; `String(profile)` is a table. */
export interface Profile<T> {
  /** What the call returned, or its promise resolved to. */
  readonly result: T;
  /** Every dispatch, in order. */
  readonly passes: readonly PassTime[];
  /** The same by kernel, the slowest first. */
  readonly kernels: readonly KernelTime[];
  /** Of all passes together. */
  readonly milliseconds: number;
  /** Where they were asked for. */
  readonly ceilings?: Ceilings;
  /** A table for people. */
  toString(): string;
}

/**
 * Runs `call` on tfjs's WebGPU backend with a timestamp before and after each of this package's
 * kernels: milliseconds, dispatches, counted operations and bytes of each, and its share of what the device
 * can do. Passes run one at a time meanwhile. The first call of a shape compiles: profile a later one.
 * A call that returns a promise is waited for, and what else runs meanwhile is counted with it. tfjs's own kernels are
 * not timed: see `tf.time()`.
 *
 * Operations are the useful ones, a multiply-add being two; bytes are those that a kernel has to read and
 * write at least. So a share can say how far a kernel is from perfect, and is above 1 only where a cache held
 * what it read.
 *
 * @throws Error where the backend is another, or its device has no timestamps; TypeError for what is no function.
 */
export async function profile<T>(
  call: () => T | Promise<T>,
  options: ProfileOptions = {},
): Promise<Profile<T>> {
  if (!onWebGPU() || !currentDevice().features.has('timestamp-query')) {
    throw new Error(
      'profile: needs the webgpu backend, on a device with the feature timestamp-query. Try useOwnDevice().',
    );
  }
  needFunction('profile', call);
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `profile: \`options\` must be an object, got ${options === null ? 'null' : typeof options}.`,
    );
  }
  const ceilings = options.ceilings ? await measureCeilings() : undefined;
  const pending: Promise<PassTime[]>[] = [];
  const result = await withRecorder(timing(pending), call);
  const passes = (await Promise.all(pending).catch(refuse)).flat();
  const kernels = kernelTimes(passes, ceilings);
  const milliseconds = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
  const found = { result, passes, kernels, milliseconds, ...(ceilings && { ceilings }) };
  return { ...found, toString: () => profileTable(found) };
}

function refuse(error: Error): never {
  const why = whyLost(tf.backend()) ?? error.message;
  throw new Error(`profile: the timestamps cannot be read: ${why}`, { cause: error });
}

/** Bytes of a timestamp. */
const STAMP = 8;

function timing(pending: Promise<PassTime[]>[]): Recorder {
  return (device, encoder, passes) => {
    const count = 2 * passes.length;
    const querySet = device.createQuerySet({ type: 'timestamp', count });
    for (const [i, { record }] of passes.entries()) {
      const computePass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
      record(computePass);
      computePass.end();
    }
    const resolved = device.createBuffer({
      size: count * STAMP,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const readable = device.createBuffer({
      size: count * STAMP,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, count * STAMP);
    const read = async () => {
      await readable.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(readable.getMappedRange().slice(0));
      for (const used of [querySet, resolved, readable]) {
        used.destroy();
      }
      return passes.map(({ kernel, operations = 0, bytes = 0 }, i) => ({
        ...{ kernel, operations, bytes },
        milliseconds: Number((stamps[2 * i + 1] as bigint) - (stamps[2 * i] as bigint)) / 1e6,
      }));
    };
    // The commands are submitted when the caller returns; mapping may be asked for only then.
    const times = Promise.resolve().then(read);
    times.catch(() => {}); // nobody asks where the call has failed
    pending.push(times);
  };
}
