import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { withFloatBuffers } from '../../webgpu/backend.js';
import { type Program, runProgram } from '../../webgpu/program.js';
import type { DeviceTraits } from '../../webgpu/traits.js';
import type { Settings, Shape } from '../settings.js';
import { CacheDoor } from './door.js';
import { appendPlan, type Extent, mostTokens, movePlan, roomFor, TENSORS, type TensorName } from './plan.js';
import type { CacheState, NewTokens } from './state.js';

/** What is on the GPU, and how to read it. */
interface Held {
  readonly extent: Extent;
  readonly shape: Shape;
  readonly settings: Settings;
  readonly tensors: Readonly<Record<TensorName, Tensor>>;
}

/** A cache in buffers with room to spare, which kernels write in place: a step touches what it adds and sees. */
export class BufferedState implements CacheState {
  private held: Held | undefined;

  constructor(private readonly maxLength: number) {}

  append({ shape, settings, qk, v, buckets }: NewTokens, attends: boolean): Tensor[] {
    const door = new CacheDoor('LshCache.append');
    const device = door.device();
    const { length, capacity } = this.held?.extent ?? { length: 0, capacity: 0 };
    const after = length + shape.L;
    if (after > capacity) {
      const most = mostTokens(after, shape, settings, device, door);
      const room = Math.min(roomFor(after), this.maxLength, most);
      this.move({ shape, settings, extent: { B: shape.B, length, capacity: room } }, device, door);
    }
    const held = this.held as Held;
    const plan = appendPlan(shape, settings, held.extent, attends, device);
    const fresh = withFloatBuffers({ newQk: qk, newV: v });
    const outputs = run('LshCacheAppend', { ...fresh, newBuckets: buckets, ...held.tensors }, plan, door);
    this.held = { ...held, extent: { ...held.extent, length: after } };
    return Object.values(outputs);
  }

  reorder(indices: Tensor1D): void {
    if (this.held === undefined) {
      return;
    }
    const { extent, shape, settings } = this.held;
    const B = indices.size;
    const door = new CacheDoor('LshCache.reorder');
    const device = door.device();
    const most = mostTokens(extent.length, { ...shape, B }, settings, device, door);
    const capacity = Math.min(extent.capacity, most);
    this.move({ shape, settings, extent: { B, length: extent.length, capacity } }, device, door, indices);
  }

  dispose(): void {
    tf.dispose({ ...this.held?.tensors });
    this.held = undefined;
  }

  /** New tensors take the place of the old ones, if there are any. */
  private move(to: Omit<Held, 'tensors'>, device: DeviceTraits, door: CacheDoor, indices?: Tensor1D): void {
    const old = this.held;
    const reorders = indices !== undefined;
    const plan = movePlan(to.shape, to.settings, old?.extent, to.extent, reorders, device);
    const inputs = Object.fromEntries(
      Object.entries(old?.tensors ?? {}).map(([name, tensor]) => [`old.${name}`, tensor]),
    );
    const moved = run('LshCacheMove', { ...inputs, ...(reorders && { indices }) }, plan, door);
    const kept = TENSORS.map((name) => [name, tf.keep(moved[name] as Tensor)]);
    this.held = { ...to, tensors: Object.fromEntries(kept) };
    tf.dispose({ ...old?.tensors });
  }
}

/** Runs a plan as a kernel of tfjs: `LshCacheAppend` writes into inputs, `LshCacheMove` into outputs alone. */
function run(
  name: 'LshCacheAppend' | 'LshCacheMove',
  inputs: Readonly<Record<string, Tensor>>,
  plan: Program,
  door: CacheDoor,
): Record<string, Tensor> {
  const tensors = runProgram(name, plan, inputs, { door });
  return Object.fromEntries(Object.keys(plan.outputs).map((output, i) => [output, tensors[i] as Tensor]));
}
