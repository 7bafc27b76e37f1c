import probeCopy from '../../kernels/probe/copy.wgsl?raw';
import probeMultiply from '../../kernels/probe/multiply.wgsl?raw';
import { currentDevice, needWebGPU } from './backend.js';
import { type BoundPass, PassSequence } from './dispatch.js';
import { type Kernels, type Pass, signatureOf } from './kernels.js';

/** What a device can do at most, as measured by two kernels that do nothing else. */
export interface Ceilings {
  /** 10⁹ float32 operations by the second, a multiply-add being two. */
  readonly gflops: number;
  /** 10⁹ bytes by the second, read and written. */
  readonly gbps: number;
}

/** Counted work of a kernel, and how long it took. */
export interface Timed {
  /** On the GPU. */
  readonly milliseconds: number;
  /** Useful ones, a multiply-add being two. */
  readonly operations: number;
  /** What must be read and written at least. */
  readonly bytes: number;
}

const MULTIPLY_GROUPS = 256;
const LANES = 64;
/** Operations of a lane in a turn of probe/multiply's loop. */
const OPERATIONS_A_TURN = 2 * 12 * 4;
const TURNS = 64;
const COPIED_BYTES = 2 ** 26;
const VECTOR_BYTES = 16;
const COPY_LANES = 256;

/** A probe lasts at least so long, in milliseconds: a clock then errs by little. */
const LEAST_TIME = 40;
/** A probe's work grows by this factor until it lasts that long … */
const GROWTH = 4;
/** … at most so many times. */
const MOST_GROWTH = 4 ** 6;
/** Runs that count; the best is a ceiling. */
const RUNS = 3;

/** Kernels that are no part of a call. */
export const probeKernels = { 'probe/multiply': probeMultiply, 'probe/copy': probeCopy };

/** The passes of the two probes, of a size from 1 up. Pure. */
export const probes = {
  multiply: (size: number): Pass[] => [
    {
      kernel: 'probe/multiply',
      constants: {},
      sizes: {},
      params: { turns: TURNS * size },
      aliases: {},
      workgroups: MULTIPLY_GROUPS,
      operations: MULTIPLY_GROUPS * LANES * OPERATIONS_A_TURN * TURNS * size,
      bytes: 4 * MULTIPLY_GROUPS * LANES,
    },
  ],
  // A device that copies in microseconds is asked for as many copies as a clock can see.
  copy: (size: number): Pass[] =>
    Array.from({ length: Math.min(size, 256) }, () => ({
      kernel: 'probe/copy',
      constants: {},
      sizes: {},
      params: { vectors: COPIED_BYTES / VECTOR_BYTES },
      aliases: {},
      workgroups: COPIED_BYTES / VECTOR_BYTES / COPY_LANES,
      operations: 0,
      bytes: 2 * COPIED_BYTES,
    })),
} as const;

const measured = new WeakMap<GPUDevice, Promise<Ceilings>>();

/**
 * Measures what the device of tfjs's WebGPU backend can do at most: multiply-adds in registers, and a copy
 * of 64 MiB. Takes a second or less, once a device; later calls return what was found.
 *
 * @throws Error where the backend is another.
 */
export function measureCeilings(): Promise<Ceilings> {
  needWebGPU('measureCeilings');
  const device = currentDevice();
  const found = measured.get(device) ?? measure(device);
  measured.set(device, found);
  return found;
}

/** Which ceiling binds the work, and what share of it was reached. */
export function shareOfCeiling(
  { milliseconds, operations, bytes }: Timed,
  { gflops, gbps }: Ceilings,
): { readonly bound: 'arithmetic' | 'memory'; readonly share: number } {
  const arithmetic = operations / gflops / 1e6;
  const memory = bytes / gbps / 1e6;
  return {
    bound: arithmetic >= memory ? 'arithmetic' : 'memory',
    share: Math.max(arithmetic, memory) / milliseconds,
  };
}

async function measure(device: GPUDevice): Promise<Ceilings> {
  const usage = GPUBufferUsage.STORAGE;
  const buffers: Record<string, GPUBuffer> = {
    sums: device.createBuffer({ size: 4 * MULTIPLY_GROUPS * LANES, usage }),
    source: device.createBuffer({ size: COPIED_BYTES, usage }),
    copied: device.createBuffer({ size: COPIED_BYTES, usage }),
  };
  try {
    return {
      gflops: await best(device, probes.multiply, 'operations', buffers),
      gbps: await best(device, probes.copy, 'bytes', buffers),
    };
  } finally {
    for (const buffer of Object.values(buffers)) {
      buffer.destroy();
    }
  }
}

/** 10⁹ by the second, in the best of several runs. */
async function best(
  device: GPUDevice,
  probe: (size: number) => Pass[],
  what: 'operations' | 'bytes',
  buffers: Readonly<Record<string, GPUBuffer>>,
): Promise<number> {
  const run = async (passes: readonly Pass[]) => {
    const sequence = new PassSequence(device, passes.map(bound));
    const encoder = device.createCommandEncoder();
    sequence.record(encoder, buffers);
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    const milliseconds = performance.now() - start;
    sequence.dispose();
    return milliseconds;
  };
  await run(probe(1)); // compiles, and touches the memory
  let size = 1;
  while ((await run(probe(size))) < LEAST_TIME && size < MOST_GROWTH) {
    size *= GROWTH;
  }
  const passes = probe(size);
  const work = passes.reduce((sum, pass) => sum + (pass[what] ?? 0), 0);
  let rate = 0;
  for (let n = 0; n < RUNS; n++) {
    rate = Math.max(rate, work / (await run(passes)) / 1e6);
  }
  return rate;
}

/** The buffers of a probe have the names of its bindings. */
function bound(pass: Pass): BoundPass {
  const code = (probeKernels as Kernels)[pass.kernel] as string;
  const names = Object.keys(signatureOf(code).buffers);
  return { ...pass, code, bindings: Object.fromEntries(names.map((name) => [name, { name }])) };
}
