import type { Pass } from '../webgpu/kernels.js';
import type { LshAttentionOptions } from './options.js';
import { attentionPasses, hashPass, sortsByKeys } from './passes.js';
import type { Settings, Shape } from './settings.js';
import { Door } from './validate.js';

/** The limits of a device that a plan depends on; names and defaults are WebGPU's. */
export interface Limits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

/** What every WebGPU device offers at least. */
export const DEFAULT_LIMITS: Limits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Where a batch's rows lie in a tensor: a part that one binding can hold. */
export interface Part {
  readonly offset: number;
  readonly size: number;
}

/** Consecutive rows b·h that go through the pipeline together. */
export interface Batch {
  readonly firstRow: number;
  readonly rows: number;
  /** By tensor name; a buffer that is not named is bound whole. */
  readonly parts: Readonly<Record<string, Part>>;
  readonly passes: readonly Pass[];
}

/** What a call does on the GPU, computed without one. Bytes are bytes, operations count an add and a multiply as two. */
export interface AttentionPlan {
  readonly shape: Shape;
  readonly settings: Settings;
  /** Chunks of a round: ceil(L / C). */
  readonly chunks: number;
  readonly batches: readonly Batch[];
  /** Kernel launches in all. */
  readonly dispatches: number;
  /** Bytes of each buffer that lives for the call alone. */
  readonly scratch: Readonly<Record<string, number>>;
  readonly bytes: {
    readonly inputs: number;
    readonly outputs: number;
    readonly scratch: number;
    readonly peak: number;
  };
  /** Useful floating-point operations. */
  readonly operations: { readonly hash: number; readonly attend: number; readonly total: number };
  toString(): string;
}

/** Offsets of bindings are multiples of this many bytes (WebGPU's minStorageBufferOffsetAlignment). */
const ALIGNMENT = 256;
/** Slices of a row to sort are at least this long, and four times as long as there are buckets. */
const LEAST_SLICE = 1024;
const WORD = 4;

/**
 * The plan of `lshAttention` on WebGPU: buckets, chunks, dispatches, bytes and operations. No GPU is
 * needed, and nothing runs; print it with `String(plan)`.
 *
 * @param shape sizes in letters; B and H default to 1, E to D.
 * @param options as for `lshAttention`.
 * @param limits of the device; defaults to what every WebGPU device offers.
 * @throws RangeError or TypeError for what `lshAttention` would refuse; Error for what cannot fit.
 */
export function plan(
  shape: Pick<Shape, 'L' | 'D'> & Partial<Shape>,
  options: LshAttentionOptions = {},
  limits: Limits = DEFAULT_LIMITS,
): AttentionPlan {
  const door = new Door('plan');
  const letters = door.letters({ B: 1, H: 1, E: shape.D, ...shape });
  return planAttention(letters, door.settings(letters, options), limits, door);
}

/** {@link plan} of a checked call; or, for `'buckets'`, of the hash alone. */
export function planAttention(
  shape: Shape,
  settings: Settings,
  limits: Limits,
  door: Door,
  goal: 'attention' | 'buckets' = 'attention',
): AttentionPlan {
  const { B, H, L, D, E } = shape;
  const { R, N } = settings;
  const rows = B * H;
  const sliceLength = Math.max(1, Math.min(L, Math.max(LEAST_SLICE, 4 * (N + 1))));
  const slices = Math.ceil(L / sliceLength);
  // Bytes of a row (one b·h): the tensors', then the scratch's.
  const attends = goal === 'attention';
  const remembersChunks = settings.correct && R > 1;
  const indices = R * L * WORD;
  const inputRow: Record<string, number> = {
    qk: L * D * WORD,
    ...(attends ? { v: L * E * WORD } : {}),
    ...(settings.hashed ? {} : { buckets: indices }),
    ...(sortsByKeys(settings) ? { keys: indices } : {}),
  };
  const outputRow: Record<string, number> = attends
    ? { out: L * E * WORD, lse: L * WORD }
    : { buckets: indices };
  const scratchRow: Record<string, number> = attends
    ? {
        ...(settings.hashed ? { buckets: indices } : {}),
        counts: R * slices * (N + 1) * WORD,
        order: indices,
        ...(remembersChunks ? { chunks: indices } : {}),
        inverseNorms: L * WORD,
      }
    : {};
  const whole: Record<string, number> = {
    ...(settings.hashed ? { rotations: settings.rotationHeads * D * R * settings.F * WORD } : {}),
    ...(settings.masked && settings.hashed ? { mask: B * L * WORD } : {}),
  };
  const perBatch = rowsPerBatch({ ...inputRow, ...outputRow, ...scratchRow }, whole, rows, limits, door);

  const batches: Batch[] = [];
  for (let firstRow = 0; firstRow < rows && L > 0; firstRow += perBatch) {
    const count = Math.min(perBatch, rows - firstRow);
    const parts: Record<string, Part> = {};
    const starts: Record<string, number> = { buckets: 0 };
    for (const [name, bytes] of Object.entries({ ...inputRow, ...outputRow })) {
      const begin = firstRow * bytes;
      const offset = Math.floor(begin / ALIGNMENT) * ALIGNMENT;
      starts[name] = (begin - offset) / WORD;
      parts[name] = { offset, size: begin - offset + count * bytes };
    }
    const layout = { firstRow, rows: count, starts, slices, sliceLength, remembersChunks };
    batches.push({
      firstRow,
      rows: count,
      parts,
      passes: attends ? attentionPasses(shape, settings, layout) : [hashPass(shape, settings, layout)],
    });
  }

  const largest = Math.min(perBatch, rows);
  const scratch: Record<string, number> = { unused: 16 };
  for (const [name, bytes] of Object.entries(scratchRow)) {
    scratch[name] = bytes * largest;
  }
  const dispatches = batches.reduce((sum, batch) => sum + batch.passes.length, 0);
  const inputs = rows * total(inputRow) + (whole.mask ?? 0);
  const outputs = rows * total(outputRow);
  const scratchBytes = total(scratch) + (whole.rotations ?? 0) + dispatches * ALIGNMENT;
  const seenKeys = Math.min(L, (1 + settings.P + settings.A) * settings.C);
  const hash = settings.hashed ? 2 * rows * L * R * D * settings.F : 0;
  const attend = !attends ? 0 : 2 * rows * L * R * seenKeys * (D + E);
  const result: AttentionPlan = {
    shape,
    settings,
    chunks: Math.ceil(L / settings.C),
    batches,
    dispatches,
    scratch,
    bytes: { inputs, outputs, scratch: scratchBytes, peak: inputs + outputs + scratchBytes },
    operations: { hash, attend, total: hash + attend },
    toString: () => describe(result),
  };
  return result;
}

/** How many rows fit every binding; what cannot be split must fit whole. */
function rowsPerBatch(
  row: Readonly<Record<string, number>>,
  whole: Readonly<Record<string, number>>,
  rows: number,
  limits: Limits,
  door: Door,
): number {
  const binding = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  for (const [name, bytes] of Object.entries(whole)) {
    if (bytes > binding) {
      throw door.failure(
        `\`${name}\` takes ${bytes} bytes, more than the ${binding} that a binding of this device holds. ${
          name === 'rotations'
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

function describe({ shape, settings, ...plan }: AttentionPlan): string {
  const { B, H, L, D, E } = shape;
  const { R, C, P, A, factors } = settings;
  const lines = [
    `LSH attention  B=${B} H=${H} L=${L} D=${D} E=${E}  R=${R} N=${factors.join('·')} C=${C} P=${P} A=${A}`,
    `${plan.chunks} chunks, ${plan.dispatches} dispatches${plan.batches.length > 1 ? ` in ${plan.batches.length} batches of rows` : ''}`,
    ...(plan.batches[0]?.passes ?? []).map(
      (pass) => `  ${pass.kernel.padEnd(18)} ${String(pass.workgroups).padStart(9)} workgroups`,
    ),
    `operations  hash ${count(plan.operations.hash)}, attend ${count(plan.operations.attend)}`,
    `bytes       inputs ${count(plan.bytes.inputs)}, outputs ${count(plan.bytes.outputs)}, scratch ${count(plan.bytes.scratch)}, peak ${count(plan.bytes.peak)}`,
    ...Object.entries(plan.scratch).map(
      ([name, bytes]) => `  ${name.padEnd(18)} ${String(bytes).padStart(9)} bytes`,
    ),
  ];
  return lines.join('\n');
}

function total(bytes: Readonly<Record<string, number>>): number {
  return Object.values(bytes).reduce((sum, value) => sum + value, 0);
}

function count(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))}${units[power]}`;
}
