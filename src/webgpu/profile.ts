import { currentDevice, onWebGPU } from './backend.js';
import { type Recorder, withRecorder } from './dispatch.js';
import type { KernelName } from './kernels.js';

/** How long one dispatch of one of this package's kernels took on the GPU. */
export interface PassTime {
  readonly kernel: KernelName;
  readonly milliseconds: number;
}

/** The result of what was profiled, and the time of every pass it submitted, in order. */
export interface Profile<T> {
  readonly result: T;
  readonly passes: readonly PassTime[];
}

/**
 * Runs `call` on tfjs's WebGPU backend with a timestamp before and after each of this package's
 * kernels. Passes run one at a time meanwhile. tfjs's own kernels are not timed: see `tf.time()`.
 *
 * @throws Error where the backend is another, or its device has no timestamps.
 */
export async function profile<T>(call: () => T): Promise<Profile<T>> {
  if (!onWebGPU() || !currentDevice().features.has('timestamp-query')) {
    throw new Error(
      'profile: needs the webgpu backend, on a device with the feature timestamp-query. Try useOwnDevice().',
    );
  }
  const pending: Promise<PassTime[]>[] = [];
  const result = withRecorder(timing(pending), call);
  return { result, passes: (await Promise.all(pending)).flat() };
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
      return passes.map(({ kernel }, i) => ({
        kernel,
        milliseconds: Number((stamps[2 * i + 1] as bigint) - (stamps[2 * i] as bigint)) / 1e6,
      }));
    };
    // The commands are submitted when the caller returns; mapping may be asked for only then.
    pending.push(Promise.resolve().then(read));
  };
}
