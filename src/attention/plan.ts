import type { Door } from '../door.js';
import { hadamardAdditions } from '../hashing/hadamard.js';
import { DEFAULT_TRAITS, type DeviceTraits } from '../webgpu/traits.js';
import { type BatchLayout, planRows, type RowsPlan, sum } from './batches.js';
import { countsOf, keysSeen } from './counts.js';
import { AttentionDoor } from './door.js';
import type { LshAttentionOptions } from './options.js';
import { attentionOp, bucketsOp, gradientOp, type Op, type OpName } from './passes.js';
import { padded, type Settings, type Shape } from './settings.js';

/** What one tfjs kernel of this package does on the GPU. */
export interface OpPlan extends RowsPlan {
  /** The tfjs kernel. */
  readonly name: OpName;
  /** Sizes in letters; D and E are padded to whole vec4 where the kernels need that. */
  readonly shape: Shape;
  /** The options of the call, filled in. */
  readonly settings: Settings;
}

/** What a call does on the GPU, computed without one. Bytes are bytes, operations count an add and a multiply as two. */
export interface AttentionPlan {
  /** Sizes in letters. */
  readonly shape: Shape;
  /** The options, filled in. */
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
    /** Of `qk`, `v` and what else is given. */
    readonly inputs: number;
    /** Of `out` and `lse`. */
    readonly outputs: number;
    /** Of what lives for the call alone. */
    readonly scratch: number;
    /** Of all of these together. */
    readonly peak: number;
  };
  /** Useful floating-point operations; `total` is the forward call's. Buckets are taken to be even. */
  readonly operations: {
    /** Of the rotations. */
    readonly hash: number;
    /** Of logits and weighted sums. */
    readonly attend: number;
    /** Of both. */
    readonly total: number;
    /** Of the gradient. */
    readonly backward: number;
  };
  /** The plan as lines for people. */
  toString(): string;
}

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
  return planCall(new AttentionDoor('plan'), shape, options, device);
}

/** {@link plan} for a function of another name. */
export function planCall(
  door: AttentionDoor,
  shape: Pick<Shape, 'L' | 'D'> & Partial<Shape>,
  options: LshAttentionOptions,
  device: Partial<DeviceTraits> = {},
): AttentionPlan {
  const { B: batch = 1, H: heads = 1, L: length, D, E = D } = door.object('shape', shape);
  const letters = door.letters({ B: batch, H: heads, L: length, D, E });
  const settings = door.settings(letters, options);
  const traits = traitsGiven(door, device);
  const hash = settings.hashed ? [planOp(bucketsOp, letters, settings, traits, door)] : [];
  const attention = planOp(attentionOp, padded(letters), settings, traits, door);
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
    backward: planOp(gradientOp, padded(letters), settings, traits, door),
    dispatches,
    bytes: { inputs, outputs, scratch, peak: inputs + outputs + scratch },
    operations: operationsOf(letters, settings),
    toString: () => describe(result),
  };
  return result;
}

/** What is said of a device, and for the rest what every device offers. */
function traitsGiven(door: Door, device: Partial<DeviceTraits>): DeviceTraits {
  const given = door.object('device', device);
  const traits = Object.fromEntries(
    Object.entries(DEFAULT_TRAITS).map(([name, offered]) => {
      const value = given[name as keyof DeviceTraits] ?? offered;
      // Every device has limits; not every one has subgroups.
      return typeof offered === 'boolean'
        ? [name, door.flag(name, value as boolean)]
        : [name, door.integer(name, value as number, Math.min(offered, 1))];
    }),
  );
  return { ...DEFAULT_TRAITS, ...traits, ...(given.tuning && { tuning: given.tuning }) };
}

function operationsOf({ B, H, L, D, E }: Shape, settings: Settings): AttentionPlan['operations'] {
  const { R, F, hashed } = settings;
  const pairs = B * H * L * R * keysSeen(L, settings);
  const hashOnce = settings.hadamard ? hadamardAdditions({ D, F }) : 2 * D * F;
  const hash = hashed ? B * H * L * R * hashOnce : 0;
  const attend = 2 * pairs * (D + E);
  // Logits and weights twice, from the side of the queries and of the keys; then dqk twice and dv.
  const backward = 2 * pairs * (2 * (D + E) + 2 * D + E);
  return { hash, attend, total: hash + attend, backward };
}

/** The plan of one op of a checked call. */
export function planOp(op: Op, shape: Shape, settings: Settings, device: DeviceTraits, door: Door): OpPlan {
  const passesOf = (layout: BatchLayout) =>
    op.passes(shape, settings, layout, device).map((pass) => ({
      ...pass,
      // A pass without a number of its round takes them all.
      ...countsOf(pass.kernel, shape, settings, layout.rows, 'round' in pass.params ? 1 : settings.R),
    }));
  return {
    ...{ name: op.name, shape, settings },
    ...planRows(shape, op.buffers(shape, settings, device), passesOf, device, door),
  };
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

function count(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T'];
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))}${units[power]}`;
}
