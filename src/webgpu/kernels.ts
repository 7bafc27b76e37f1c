import type {
  attendKernels,
  decodeKernels,
  denseKernels,
  hashKernels,
  sortKernels,
} from '../attention/kernels.js';
import type { subgroupKernels } from '../attention/subgroups.js';
import type { minhashKernels } from '../hashing/minhash/webgpu.js';
import type { searchKernels } from '../search/kernels.js';
import type { probeKernels } from './ceilings.js';

/** A kernel, by its file below `kernels/`. Each room has a table of its own, so that none carries another's. */
export type KernelName =
  | keyof typeof hashKernels
  | keyof typeof sortKernels
  | keyof typeof attendKernels
  | keyof typeof denseKernels
  | keyof typeof subgroupKernels
  | keyof typeof decodeKernels
  | keyof typeof minhashKernels
  | keyof typeof searchKernels
  | keyof typeof probeKernels;

/** WGSL modules by name. */
export type Kernels = Readonly<Partial<Record<KernelName, string>>>;

/** How a kernel uses a buffer. */
export type Access = 'read' | 'write';

/** A field of a kernel's `Params`: one number, or `length` of them. */
export interface Field {
  readonly name: string;
  readonly type: 'u32' | 'f32';
  readonly length?: number;
}

/** What the host must know of a WGSL module. */
export interface Signature {
  /** The fields of `Params`, in order. `workgroups` is filled in from the dispatch. */
  readonly params: readonly Field[];
  /** Buffers by the name of their binding, in order, from binding 1 on. */
  readonly buffers: Readonly<Record<string, Access>>;
}

const signatures = new Map<string, Signature>();

/** The signature of a module, read from its text; a test compares it with what a parser of WGSL finds. */
export function signatureOf(code: string): Signature {
  const found = signatures.get(code) ?? readSignature(code);
  signatures.set(code, found);
  return found;
}

function readSignature(code: string): Signature {
  const [, struct = ''] = /struct Params\s*{([^}]*)}/.exec(code) ?? [];
  const fields = struct.matchAll(/(\w+):\s*(?:(u32|f32)|array<vec4u,\s*(\d+)>)/g);
  const bindings = code.matchAll(/var<storage,\s*(\w+)>\s*(\w+)/g);
  return {
    params: Array.from(fields, ([, name = '', type = 'u32', vectors]) => ({
      name,
      type: type as Field['type'],
      ...(vectors && { length: 4 * Number(vectors) }),
    })),
    buffers: Object.fromEntries(
      Array.from(bindings, ([, access, name]) => [name, access === 'read' ? 'read' : 'write']),
    ),
  };
}

/** One dispatch of one kernel. */
export interface Pass {
  readonly kernel: KernelName;
  /** Values of the kernel's `override` constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Values of the `const` sizes that are set in the kernel's text. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Whether rows are bound as 16-bit floats: `alias Stored` is another then. */
  readonly half?: boolean;
  /** Values of the fields of `Params`, but for `workgroups`. */
  readonly params: Readonly<Record<string, number | readonly number[]>>;
  /** The plan's buffer behind a binding, where it has another name. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly workgroups: number;
  /** Useful floating-point operations, where they are counted. */
  readonly operations?: number;
  /** Bytes that it must read and write at least, where they are counted. */
  readonly bytes?: number;
}

/** A pass of a kernel without constants, with sizes as its text has them, on buffers of its own names. */
export const PLAIN = { constants: {}, sizes: {}, aliases: {} } satisfies Partial<Pass>;
