import { hadamardAdditions } from '../hashing/hadamard.js';
import type { Batch, Part, Program } from '../webgpu/program.js';
import { DEFAULT_TRAITS, type DeviceTraits } from '../webgpu/traits.js';
import { countsOf } from './counts.js';
import type { LshAttentionOptions } from './options.js';
import { type Bytes, type OpName, opBuffers, opPasses } from './passes.js';
import { padded, type Settings, type Shape } from './settings.js';
import { Door } from './validate.js';

/** Consecutive rows b·h that go through an op's passes together. */
export interface RowBatch extends Batch {
  readonly firstRow: number;
  readonly rows: number;
}

/** What one tfjs kernel of this package does on the GPU. */
export interface OpPlan extends Program {
  readonly name: OpName;
  readonly shape: Shape;
  readonly settings: Settings;
  readonly batches: readonly RowBatch[];
  /** Kernel launches in all. */
  readonly dispatches: number;
  readonly bytes: { readonly inputs: number; readonly outputs: number; readonly scratch: number };
}

/** What a call does on the GPU, computed without one. Bytes are bytes, operations count an add and a multiply as two. */
export interface AttentionPlan {
  readonly shape: Shape;
  readonly settings: Settings;
  /** Chunks of a round: ceil(L / C). */
  readonly chunks: number;
  /** The ops of the call, in order. */
  readonly forward: readonly OpPlan[];
  /** The op of its gradient, which runs only where one is asked for. */
  readonly backward: OpPlan;
  /** Kernel launches of the forward call. */
  readonly dispatches: number;
  /** Bytes of the forward call; buckets in between count as scratch. */
  readonly bytes: {
    readonly inputs: number;
    readonly outputs: number;
    readonly scratch: number;
    readonly peak: number;
  };
  /** Useful floating-point operations; `total` is the forward call's. Buckets are taken to be even. */
  readonly operations: {
    readonly hash: number;
    readonly attend: number;
    readonly total: number;
    readonly backward: number;
  };
  toString(): string;
}

/** Offsets of bindings are multiples of this many bytes (WebGPU's minStorageBufferOffsetAlignment). */
const ALIGNMENT = 256;
const WORD = 4;

/**
 * The plan of `lshAttention` on WebGPU: buckets, chunks, dispatches, bytes and operations. No GPU is
 * needed, and nothing runs; print it with `String(plan)`.
 *
 * @param shape sizes in letters; B and H default to 1, E to D.
 * @param options as for `lshAttention`.
 * @param device what the device offers, as `traitsOf` tells it; defaults to what every WebGPU device offers.
 * @throws RangeError or TypeError for what `lshAttention` would refuse; Error for what cannot fit.
 */
export function plan(
  shape: Pick<Shape, 'L' | 'D'> & Partial<Shape>,
  options: LshAttentionOptions = {},
  device: Partial<DeviceTraits> = {},
): AttentionPlan {
  const door = new Door('plan');
  const letters = door.letters({ B: 1, H: 1, E: shape.D, ...shape });
  const settings = door.settings(letters, options);
  const traits = { ...DEFAULT_TRAITS, ...device };
  const ofOp = (name: OpName) =>
    planOp(name, name === 'LshBuckets' ? letters : padded(letters), settings, traits, door);
  const hash = settings.hashed ? [ofOp('LshBuckets')] : [];
  const attention = ofOp('LshAttention');
  const forward = [...hash, attention];
  const dispatches = sum(forward.map((op) => op.dispatches));
  const { B, H, L } = letters;
  const between = settings.hashed ? B * H * settings.R * L * WORD : 0;
  const mask = settings.hashed && settings.masked ? B * L * WORD : 0;
  const inputs = attention.bytes.inputs - between + mask;
  const outputs = attention.bytes.outputs;
  const scratch = between + sum(forward.map((op) => op.bytes.scratch));
  const result: AttentionPlan = {
    shape: letters,
    settings,
    chunks: Math.ceil(L / settings.C),
    forward,
    backward: ofOp('LshAttentionGradient'),
    dispatches,
    bytes: { inputs, outputs, scratch, peak: inputs + outputs + scratch },
    operations: operationsOf(letters, settings),
    toString: () => describe(result),
  };
  return result;
}

function operationsOf({ B, H, L, D, E }: Shape, settings: Settings): AttentionPlan['operations'] {
  const { R, N, C, P, A, F, hashed, bucketWindow } = settings;
  const seenKeys = bucketWindow ? L / N : Math.min(L, (1 + P + A) * C);
  const pairs = B * H * L * R * seenKeys;
  const hashOnce = settings.hadamard ? hadamardAdditions({ D, F }) : 2 * D * F;
  const hash = hashed ? B * H * L * R * hashOnce : 0;
  const attend = 2 * pairs * (D + E);
  // Logits and weights twice, from the side of the queries and of the keys; then dqk twice and dv.
  const backward = 2 * pairs * (2 * (D + E) + 2 * D + E);
  return { hash, attend, total: hash + attend, backward };
}

/** The plan of one op of a checked call. */
export function planOp(
  name: OpName,
  shape: Shape,
  settings: Settings,
  device: DeviceTraits,
  door: Door,
): OpPlan {
  const { B, H } = shape;
  const rows = B * H;
  const { inputs, outputs: made, scratch: scratchRow, whole } = opBuffers(name, shape, settings);
  const outputs = mapValues(made, ({ axes }) => axes.reduce((size, axis) => size * axis, WORD));
  const tensors = { ...inputs, ...outputs };
  const perBatch = rowsPerBatch({ ...tensors, ...scratchRow }, whole, rows, device, door);

  const batches: RowBatch[] = [];
  for (let firstRow = 0; firstRow < rows && shape.L > 0; firstRow += perBatch) {
    const count = Math.min(perBatch, rows - firstRow);
    const parts: Record<string, Part> = {};
    const starts: Record<string, number> = {};
    for (const [tensor, bytes] of Object.entries(tensors)) {
      const begin = firstRow * bytes;
      const offset = Math.floor(begin / ALIGNMENT) * ALIGNMENT;
      starts[tensor] = (begin - offset) / WORD;
      parts[tensor] = { offset, size: begin - offset + count * bytes };
    }
    const passes = opPasses(name, shape, settings, { firstRow, rows: count, starts }, device).map((pass) => ({
      ...pass,
      // A pass without a number of its round takes them all.
      ...countsOf(pass.kernel, shape, settings, count, 'round' in pass.params ? 1 : settings.R),
    }));
    batches.push({ firstRow, rows: count, parts, passes });
  }

  const largest = Math.min(perBatch, rows);
  const scratch = { unused: 16, ...mapValues(scratchRow, (bytes) => bytes * largest) };
  const dispatches = sum(batches.map(({ passes }) => passes.length));
  const { mask = 0, ...drawn } = whole;
  return {
    ...{ name, shape, settings, batches, dispatches, scratch },
    outputs: mapValues(made, ({ axes, dtype }) => ({ shape: [B, H, ...axes], dtype })),
    bytes: {
      inputs: rows * total(inputs) + mask,
      outputs: rows * total(outputs),
      scratch: total(scratch) + total(drawn) + dispatches * ALIGNMENT,
    },
  };
}

/** How many rows fit every binding; what cannot be split must fit whole. */
function rowsPerBatch(row: Bytes, whole: Bytes, rows: number, device: DeviceTraits, door: Door): number {
  const binding = Math.min(device.maxStorageBufferBindingSize, device.maxBufferSize);
  for (const [name, bytes] of Object.entries(whole)) {
    if (bytes > binding) {
      throw door.failure(
        `\`${name}\` takes ${bytes} bytes, more than the ${binding} that a binding of this device holds. ${
          name === 'rotations' || name === 'signs'
            ? 'Use factored buckets, such as numBuckets: [64, 128].'
            : 'Use a smaller batch.'
        }`,
      );
    }
  }
  let fit = Math.max(1, rows);
  for (const [name, bytes] of Object.entries(row)) {
    // A part may begin up to one alignment before its first row.
    const most = Math.floor((binding - ALIGNMENT) / Math.max(1, bytes));
    if (most < 1 && bytes > 0 && rows > 0) {
      if (rows === 1 && bytes <= binding) {
        continue;
      }
      throw door.failure(
        `one head's \`${name}\` takes ${bytes} bytes, more than the ${binding} that a binding of this device holds. Use a shorter length, less depth or fewer rounds.`,
      );
    }
    fit = Math.min(fit, bytes * rows <= binding ? rows : most);
  }
  return Math.max(1, fit);
}

function describe({ shape, settings, forward, backward, ...plan }: AttentionPlan): string {
  const { B, H, L, D, E } = shape;
  const { R, C, P, A, factors, bucketWindow } = settings;
  const window = bucketWindow ? 'bucket window' : `C=${C} P=${P} A=${A}, ${plan.chunks} chunks`;
  const passes = ({ batches }: OpPlan) =>
    (batches[0]?.passes ?? []).map(
      ({ kernel, workgroups }) => `  ${kernel.padEnd(21)} ${String(workgroups).padStart(9)} workgroups`,
    );
  const ops = [...forward, backward].flatMap((op) => [
    `${op.name}: ${op.dispatches} dispatches${op.batches.length > 1 ? ` in ${op.batches.length} batches of rows` : ''}`,
    ...passes(op),
    ...Object.entries(op.scratch).map(
      ([name, bytes]) => `  ${name.padEnd(21)} ${String(bytes).padStart(9)} bytes`,
    ),
  ]);
  const { bytes, operations } = plan;
  return [
    `LSH attention  B=${B} H=${H} L=${L} D=${D} E=${E}  R=${R} N=${factors.join('·')} ${window}`,
    ...ops,
    `operations  hash ${count(operations.hash)}, attend ${count(operations.attend)}, backward ${count(operations.backward)}`,
    `bytes       inputs ${count(bytes.inputs)}, outputs ${count(bytes.outputs)}, scratch ${count(bytes.scratch)}, peak ${count(bytes.peak)}`,
  ].join('\n');
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}

function total(bytes: Bytes): number {
  return sum(Object.values(bytes));
}

function count(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))}${units[power]}`;
}
