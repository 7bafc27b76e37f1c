import { PerDevice } from './kept.js';
import { type Field, type Pass, signatureOf } from './kernels.js';

/** A pass, its kernel's text, and the buffer behind each of its bindings. */
export interface BoundPass extends Pass {
  readonly code: string;
  readonly bindings: Readonly<Record<string, BoundPart>>;
}

/** A buffer by its name among those that a sequence is recorded with, or a part of it. */
export interface BoundPart {
  readonly name: string;
  readonly offset?: number;
  readonly size?: number;
}

/** Uniform slots are this many bytes apart (WebGPU's minUniformBufferOffsetAlignment). */
const UNIFORM_SLOT = 256;

/** A pass that is ready to be recorded. */
export interface RecordedPass extends Pick<Pass, 'kernel' | 'operations' | 'bytes'> {
  readonly record: (pass: GPUComputePassEncoder) => void;
}

/** Takes the place of {@link recordTogether} while someone measures the passes one by one. */
export type Recorder = (
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  passes: readonly RecordedPass[],
) => void;

const recordTogether: Recorder = (_device, encoder, passes) => {
  const computePass = encoder.beginComputePass();
  for (const { record } of passes) {
    record(computePass);
  }
  computePass.end();
};

let recorder: Recorder = recordTogether;
/** Those that have been asked to record and not yet to stop; the last one does. */
const others: Recorder[] = [];

/** Records by another one until `during` has settled; used by the profiler. */
export async function withRecorder<T>(other: Recorder, during: () => T | Promise<T>): Promise<T> {
  others.push(other);
  recorder = other;
  try {
    return await during();
  } finally {
    others.splice(others.indexOf(other), 1);
    recorder = others.at(-1) ?? recordTogether;
  }
}

interface Step {
  readonly pass: BoundPass;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Passes of one kernel that differ in parameters alone share a bind group. */
  readonly group: string;
}

/**
 * Passes made ready for a device: parameters are written and pipelines compiled once, and bind groups
 * are kept for as long as the buffers stay the same.
 */
export class PassSequence {
  private readonly steps: readonly Step[];
  private readonly uniforms: GPUBuffer;
  private readonly groups = new Map<string, GPUBindGroup>();
  private bound: Readonly<Record<string, GPUBuffer>> = {};

  constructor(
    private readonly device: GPUDevice,
    passes: readonly BoundPass[],
  ) {
    this.steps = passes.map((pass) => {
      const group = JSON.stringify([pass.kernel, pass.bindings]);
      return { pass, group, ...compile(device, pass) };
    });
    this.uniforms = device.createBuffer({
      label: 'params',
      size: Math.max(1, passes.length) * UNIFORM_SLOT,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const slots = new ArrayBuffer(passes.length * UNIFORM_SLOT);
    for (const [i, pass] of passes.entries()) {
      packParams(signatureOf(pass.code).params, pass, new DataView(slots, i * UNIFORM_SLOT, UNIFORM_SLOT));
    }
    device.queue.writeBuffer(this.uniforms, 0, slots);
  }

  /** Records all passes, in order, on these buffers. */
  record(encoder: GPUCommandEncoder, buffers: Readonly<Record<string, GPUBuffer>>): void {
    if (Object.keys(buffers).some((name) => buffers[name] !== this.bound[name])) {
      this.groups.clear();
      this.bound = { ...buffers };
    }
    const most = this.device.limits.maxComputeWorkgroupsPerDimension;
    const recorded = this.steps.map(({ pass, pipeline, layout, group }, i) => {
      const bindGroup = this.groups.get(group) ?? this.bind(pass, layout, buffers);
      this.groups.set(group, bindGroup);
      const [x, y] = grid(pass.workgroups, most);
      const { kernel, operations = 0, bytes = 0 } = pass;
      return {
        ...{ kernel, operations, bytes },
        record: (computePass: GPUComputePassEncoder) => {
          computePass.setPipeline(pipeline);
          computePass.setBindGroup(0, bindGroup, [i * UNIFORM_SLOT]);
          computePass.dispatchWorkgroups(x, y);
        },
      };
    });
    recorder(this.device, encoder, recorded);
  }

  private bind(
    pass: BoundPass,
    layout: GPUBindGroupLayout,
    buffers: Readonly<Record<string, GPUBuffer>>,
  ): GPUBindGroup {
    const parts = Object.keys(signatureOf(pass.code).buffers).map((binding, i) => {
      const { name, ...part } = pass.bindings[binding] as BoundPart;
      return { binding: i + 1, resource: { buffer: buffers[name] as GPUBuffer, ...part } };
    });
    const params = { binding: 0, resource: { buffer: this.uniforms, size: UNIFORM_SLOT } };
    return this.device.createBindGroup({ label: pass.kernel, layout, entries: [params, ...parts] });
  }

  /** Frees what was made for the passes. Commands already submitted still find it. */
  dispose(): void {
    this.uniforms.destroy();
  }
}

/** Workgroups as a grid within the device's limit per dimension; kernels ignore the surplus. */
export function grid(workgroups: number, limit: number): [number, number] {
  const y = Math.ceil(workgroups / limit);
  return [Math.ceil(workgroups / y), y];
}

/** Fields in order, arrays at multiples of 16 bytes, as WGSL lays out a uniform struct. */
function packParams(fields: readonly Field[], { params, workgroups }: Pass, view: DataView): void {
  let at = 0;
  for (const { name, type, length } of fields) {
    const value = name === 'workgroups' ? workgroups : params[name];
    if (length !== undefined) {
      at = Math.ceil(at / 16) * 16;
    }
    for (const [i, number] of (Array.isArray(value) ? value : [value]).entries()) {
      if (type === 'f32') {
        view.setFloat32(at + 4 * i, number, true);
      } else {
        view.setUint32(at + 4 * i, number, true);
      }
    }
    at += 4 * (length ?? 1);
  }
}

interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const compiled = new PerDevice(() => new Map<string, Compiled>());

/** The pipeline of a kernel's variant, compiled once a device. */
export function compile(
  device: GPUDevice,
  {
    kernel,
    code,
    constants,
    sizes,
    half = false,
  }: Omit<BoundPass, 'bindings' | 'params' | 'aliases' | 'workgroups'>,
): Compiled {
  const cache = compiled.of(device);
  const key = JSON.stringify([kernel, constants, sizes, half]);
  let entry = cache.get(key);
  if (entry === undefined) {
    const layout = device.createBindGroupLayout({
      label: kernel,
      entries: ['uniform' as const, ...Object.values(signatureOf(code).buffers)].map((access, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: BINDING_TYPES[access], hasDynamicOffset: access === 'uniform' },
      })),
    });
    const pipeline = device.createComputePipeline({
      label: kernel,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: device.createShaderModule({ label: kernel, code: withStorage(withSizes(code, sizes), half) }),
        entryPoint: 'main',
        constants,
      },
    });
    entry = { pipeline, layout };
    cache.set(key, entry);
  }
  return entry;
}

const BINDING_TYPES = { uniform: 'uniform', read: 'read-only-storage', write: 'storage' } as const;

/**
 * The two places where shader text is edited are this and the next. `const NAME: u32 = …u;` gets another number. It sets the
 * sizes of arrays in registers, which must be constants; all else is an `override` or a parameter.
 */
export function withSizes(code: string, sizes: Readonly<Record<string, number>>): string {
  return Object.entries(sizes).reduce(
    (text, [name, size]) => text.replace(new RegExp(`(const ${name}:\\s*u32\\s*=\\s*)\\d+u`), `$1${size}u`),
    code,
  );
}

/** The same kernel on rows of 16-bit floats: `alias Stored` names the type of a vec4 in memory. */
export function withStorage(code: string, half: boolean): string {
  return half ? `enable f16;\n${code.replace(/(alias Stored\s*=\s*)vec4f/, '$1vec4h')}` : code;
}
