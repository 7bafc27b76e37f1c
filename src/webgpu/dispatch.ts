import { type Field, type Kernel, kernels, type Pass } from './kernels.js';

/** A buffer, or the part of it that a batch of rows occupies. */
export interface Binding {
  readonly buffer: GPUBuffer;
  readonly offset?: number;
  readonly size?: number;
}

/** A pass with the buffers that its bindings stand for. */
export interface BoundPass extends Pass {
  readonly bindings: Readonly<Record<string, Binding>>;
}

/** Uniform slots are this many bytes apart (WebGPU's minUniformBufferOffsetAlignment). */
export const UNIFORM_SLOT = 256;

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

/** Runs `during` with another recorder; used by the profiler. */
export function withRecorder<T>(other: Recorder, during: () => T): T {
  const before = recorder;
  recorder = other;
  try {
    return during();
  } finally {
    recorder = before;
  }
}

/** Records all passes, in order, with their parameters in `uniforms` (a slot of 256 bytes each). */
export function recordPasses(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  passes: readonly BoundPass[],
  uniforms: GPUBuffer,
): void {
  const slots = new ArrayBuffer(passes.length * UNIFORM_SLOT);
  const recorded = passes.map((pass, i) => {
    packParams(kernels[pass.kernel].params, pass, new DataView(slots, i * UNIFORM_SLOT, UNIFORM_SLOT));
    const { pipeline, layout } = compile(device, pass);
    const group = device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: i * UNIFORM_SLOT, size: UNIFORM_SLOT } },
        ...Object.keys(kernels[pass.kernel].buffers).map((name, j) => ({
          binding: j + 1,
          resource: pass.bindings[name] as GPUBufferBinding,
        })),
      ],
    });
    const [x, y] = grid(pass.workgroups, device.limits.maxComputeWorkgroupsPerDimension);
    const { kernel, operations = 0, bytes = 0 } = pass;
    return {
      ...{ kernel, operations, bytes },
      record: (computePass: GPUComputePassEncoder) => {
        computePass.setPipeline(pipeline);
        computePass.setBindGroup(0, group);
        computePass.dispatchWorkgroups(x, y);
      },
    };
  });
  device.queue.writeBuffer(uniforms, 0, slots);
  recorder(device, encoder, recorded);
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

const compiled = new WeakMap<GPUDevice, Map<string, Compiled>>();

/** The pipeline of a kernel's variant, compiled once a device. */
export function compile(
  device: GPUDevice,
  { kernel, constants, sizes }: Pick<Pass, 'kernel' | 'constants' | 'sizes'>,
): Compiled {
  let cache = compiled.get(device);
  if (cache === undefined) {
    cache = new Map();
    compiled.set(device, cache);
  }
  const key = JSON.stringify([kernel, constants, sizes]);
  let entry = cache.get(key);
  if (entry === undefined) {
    const { code, buffers }: Kernel = kernels[kernel];
    const layout = device.createBindGroupLayout({
      label: kernel,
      entries: ['uniform' as const, ...Object.values(buffers)].map((access, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: BINDING_TYPES[access] },
      })),
    });
    const pipeline = device.createComputePipeline({
      label: kernel,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: device.createShaderModule({ label: kernel, code: withSizes(code, sizes) }),
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
 * The one place where shader text is edited: `const NAME: u32 = …u;` gets another number. It sets the
 * sizes of arrays in registers, which must be constants; all else is an `override` or a parameter.
 */
export function withSizes(code: string, sizes: Readonly<Record<string, number>>): string {
  return Object.entries(sizes).reduce(
    (text, [name, size]) => text.replace(new RegExp(`(const ${name}: u32 = )\\d+u`), `$1${size}u`),
    code,
  );
}
