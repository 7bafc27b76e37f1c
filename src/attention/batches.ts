/** Work on rows b·h, cut into batches where a tensor is larger than a binding. Pure. */

import type { Door } from '../door.js';
import type { Pass } from '../webgpu/kernels.js';
import type { Batch, OutputSpec, Part, Program } from '../webgpu/program.js';
import type { DeviceTraits } from '../webgpu/traits.js';
import type { Shape } from './settings.js';

/** Offsets of bindings are multiples of this many bytes (WebGPU's minStorageBufferOffsetAlignment). */
export const ALIGNMENT = 256;
const WORD = 4;

/** Bytes of buffers by name. */
export type Bytes = Readonly<Record<string, number>>;

/** A tensor that an op makes, `[B, H, ...axes]`. */
export interface RowSpec {
  readonly axes: readonly number[];
  readonly dtype: OutputSpec['dtype'];
}

/** Rows of float32. */
export function floatRows(...axes: number[]): RowSpec {
  return { axes, dtype: 'float32' };
}

/** What an op binds: bytes of one row (one b·h), but for `whole`, which all rows share. */
export interface OpBuffers {
  readonly inputs: Bytes;
  readonly outputs: Readonly<Record<string, RowSpec>>;
  readonly scratch?: Bytes;
  readonly whole?: Bytes;
}

/** How a batch of rows lies in memory. */
export interface BatchLayout {
  readonly firstRow: number;
  readonly rows: number;
  /** Elements between the start of a tensor's binding and the batch's first row, by the kernels' names for them: `qkStart`. */
  readonly starts: Readonly<Record<string, number>>;
}

/** Consecutive rows b·h that go through an op's passes together. */
export interface RowBatch extends Batch {
  readonly firstRow: number;
  readonly rows: number;
}

/** What an op does to its rows. */
export interface RowsPlan extends Omit<Program, 'kernels'> {
  /** Rows that go through the passes together: one batch, unless a tensor is larger than a binding. */
  readonly batches: readonly RowBatch[];
  /** Kernel launches in all. */
  readonly dispatches: number;
  /** Bytes of the tensors that go in and come out, and of what lives for the op alone. */
  readonly bytes: {
    /** Of tensors given. */
    readonly inputs: number;
    /** Of tensors made. */
    readonly outputs: number;
    /** Of buffers that are given back. */
    readonly scratch: number;
  };
}

/** The plan of an op: its passes on as many rows at a time as the device's bindings hold. */
export function planRows(
  { B, H, L }: Pick<Shape, 'B' | 'H' | 'L'>,
  { inputs, outputs: made, scratch: scratchRow = {}, whole = {} }: OpBuffers,
  passesOf: (layout: BatchLayout) => Pass[],
  device: DeviceTraits,
  door: Door,
): RowsPlan {
  const rows = B * H;
  const outputs = mapValues(made, ({ axes }) => axes.reduce((size, axis) => size * axis, WORD));
  const tensors = { ...inputs, ...outputs };
  checkBuffers(tensors, rows, device, door);
  const perBatch = rowsPerBatch({ ...tensors, ...scratchRow }, whole, rows, device, door);

  const batches: RowBatch[] = [];
  for (let firstRow = 0; firstRow < rows && L > 0; firstRow += perBatch) {
    const count = Math.min(perBatch, rows - firstRow);
    const parts: Record<string, Part> = {};
    const starts: Record<string, number> = {};
    for (const [tensor, bytes] of Object.entries(tensors)) {
      const { part, start } = cut(bytes, firstRow, count);
      starts[`${tensor}Start`] = start;
      parts[tensor] = part;
    }
    batches.push({ firstRow, rows: count, parts, passes: passesOf({ firstRow, rows: count, starts }) });
  }

  const largest = Math.min(perBatch, rows);
  const scratch = { unused: 16, ...mapValues(scratchRow, (bytes) => bytes * largest) };
  const dispatches = sum(batches.map(({ passes }) => passes.length));
  const { mask = 0, ...drawn } = whole;
  return {
    ...{ batches, dispatches, scratch },
    outputs: mapValues(made, ({ axes, dtype }) => ({ shape: [B, H, ...axes], dtype })),
    bytes: {
      inputs: rows * total(inputs) + mask,
      outputs: rows * total(outputs),
      scratch: total(scratch) + total(drawn) + dispatches * ALIGNMENT,
    },
  };
}

/** The part of a tensor that rows of so many bytes lie in, and how many elements after its start. */
export function cut(
  bytes: number,
  first: number,
  count: number,
): { readonly part: Part; readonly start: number } {
  const begin = first * bytes;
  const offset = Math.floor(begin / ALIGNMENT) * ALIGNMENT;
  return { part: { offset, size: begin - offset + count * bytes }, start: (begin - offset) / WORD };
}

/** Bytes that one binding holds. */
export function bindingLimit({ maxStorageBufferBindingSize, maxBufferSize }: DeviceTraits): number {
  return Math.min(maxStorageBufferBindingSize, maxBufferSize);
}

/** Refuses tensors that no buffer holds: bindings are cut, buffers are not. */
function checkBuffers(row: Bytes, rows: number, { maxBufferSize }: DeviceTraits, door: Door): void {
  for (const [name, bytes] of Object.entries(row)) {
    if (bytes * rows > maxBufferSize) {
      throw door.failure(
        `\`${name}\` takes ${bytes * rows} bytes, more than the ${maxBufferSize} that a buffer of this device holds. Use a smaller batch, or a device of larger limits: useOwnDevice().`,
      );
    }
  }
}

/** How many rows fit every binding; what cannot be split must fit whole. */
function rowsPerBatch(row: Bytes, whole: Bytes, rows: number, device: DeviceTraits, door: Door): number {
  const binding = bindingLimit(device);
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
    // A part may begin up to one alignment before its first row, unless all rows are aligned.
    const before = bytes % ALIGNMENT === 0 ? 0 : ALIGNMENT;
    const most = Math.floor((binding - before) / Math.max(1, bytes));
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

/** The sum of numbers. */
export function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}

function total(bytes: Bytes): number {
  return sum(Object.values(bytes));
}
