import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { SWIFTSHADER_PACKAGE, unpackSwiftShader, type VulkanFiles } from './swiftshader.js';
import { waitQuietly } from './waiting.js';

/** Kinds of adapter: a hardware GPU, Mesa's lavapipe, or SwiftShader; the last two run on the CPU. */
export type AdapterKind = 'gpu' | 'lavapipe' | 'swiftshader';

/** The order in which adapters are tried. */
export const ADAPTER_KINDS: readonly AdapterKind[] = ['gpu', 'lavapipe', 'swiftshader'];

/** A WebGPU adapter of Dawn's, and what it is. */
export interface FoundAdapter {
  readonly kind: AdapterKind;
  /** A line for people, such as `SwiftShader driver 5.0.0 (swiftshader)`. */
  readonly description: string;
  readonly adapter: GPUAdapter;
  readonly gpu: GPU;
}

/** The npm package of Dawn's WebGPU for Node, as far as it is used here. */
interface Dawn {
  create(options: string[]): GPU;
  readonly globals: Record<string, unknown>;
}

/**
 * What must outlive every command: once Dawn's instance, an adapter or a device is collected, the
 * process dies at a random moment.
 */
const held: unknown[] = [];
(globalThis as Record<symbol, unknown>)[Symbol.for('tfjs-lsh-attention.held')] = held;

/** Keeps `value` for as long as the process runs. */
export function hold<T>(value: T): T {
  held.push(value);
  return value;
}

/** Finds an adapter of the first of `kinds` that there is one of. */
export async function findAdapter(kinds: readonly AdapterKind[]): Promise<FoundAdapter> {
  const dawn = await importDawn();
  Object.assign(globalThis, dawn.globals);
  waitQuietly(GPUBuffer);
  const missed: string[] = [];
  for (const kind of kinds) {
    const found = await ATTEMPTS[kind](dawn);
    if (typeof found !== 'string') {
      return found;
    }
    missed.push(`- ${kind}: ${found}`);
  }
  throw new Error(`useWebGPU: there is no WebGPU adapter.\n${missed.join('\n')}`);
}

/** The Vulkan loader reads the process's environment, of which a thread has a copy. */
const THREAD =
  ' In a worker thread: call useWebGPU() in the main thread first, or start the thread with `env: SHARE_ENV` of node:worker_threads.';

type Attempt = (dawn: Dawn) => Promise<FoundAdapter | string>;

const ATTEMPTS: Record<AdapterKind, Attempt> = {
  gpu: async (dawn) => {
    if (process.platform === 'linux' && !preload('libvulkan.so.1')) {
      return 'no Vulkan loader (libvulkan.so.1). Install your GPU’s driver and your system’s Vulkan loader.';
    }
    const found = await request(dawn);
    return found?.kind === 'gpu' ? found : 'no hardware GPU with a driver that Dawn can use.';
  },
  lavapipe: async (dawn) => {
    const icd = lavapipeIcd();
    if (icd === undefined || !preload('libvulkan.so.1')) {
      return 'not installed. On Debian or Ubuntu: mesa-vulkan-drivers, version 23 or newer.';
    }
    const found = await withDriver(icd, () => request(dawn));
    return found?.kind === 'lavapipe'
      ? found
      : 'installed, but too old for Dawn: Mesa 23 or newer is needed.';
  },
  swiftshader: async (dawn) => {
    const files: VulkanFiles | undefined = await unpackSwiftShader();
    if (files === undefined) {
      return `needs the npm package ${SWIFTSHADER_PACKAGE}, on Linux x64. Run: npm install --save-dev ${SWIFTSHADER_PACKAGE}`;
    }
    if (!preload('libvulkan.so.1') && !preload(files.loader)) {
      return `its Vulkan loader ${files.loader} does not load on this system.`;
    }
    const found = await withDriver(files.icd, () => request(dawn));
    return found?.kind === 'swiftshader'
      ? found
      : `its driver ${files.icd} offers no adapter.${isMainThread ? '' : THREAD}`;
  },
};

async function importDawn(): Promise<Dawn> {
  try {
    return (await import('webgpu')) as unknown as Dawn;
  } catch (error) {
    throw new Error(
      'useWebGPU: the npm package webgpu (Dawn for Node) does not load. Run: npm install webgpu',
      { cause: error },
    );
  }
}

async function request(dawn: Dawn): Promise<FoundAdapter | undefined> {
  const gpu = hold(dawn.create([]));
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    return undefined;
  }
  const kind = kindOf(hold(adapter).info);
  return { kind, description: `${adapter.info.description || adapter.info.vendor} (${kind})`, adapter, gpu };
}

function kindOf({ architecture, description, device }: GPUAdapterInfo): AdapterKind {
  const words = `${architecture} ${description} ${device}`.toLowerCase();
  return /swiftshader/.test(words) ? 'swiftshader' : /llvmpipe|lavapipe/.test(words) ? 'lavapipe' : 'gpu';
}

/** Lets the Vulkan loader see one driver alone; for good where `attempt` finds an adapter. */
async function withDriver(
  icd: string,
  attempt: () => Promise<FoundAdapter | undefined>,
): Promise<FoundAdapter | undefined> {
  const before = process.env.VK_ICD_FILENAMES;
  process.env.VK_ICD_FILENAMES = icd;
  const found = await attempt();
  if (found === undefined) {
    if (before === undefined) {
      delete process.env.VK_ICD_FILENAMES;
    } else {
      process.env.VK_ICD_FILENAMES = before;
    }
  }
  return found;
}

function lavapipeIcd(): string | undefined {
  for (const folder of ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d']) {
    const file = existsSync(folder) && readdirSync(folder).find((name) => /^lvp_icd.*\.json$/.test(name));
    if (file) {
      return join(folder, file);
    }
  }
  return undefined;
}

/** dlopen's flags: resolve at once, and keep the library when the handle is closed. */
const RTLD_NOW_NODELETE = 0x1002;

/**
 * Loads a shared library for Dawn to find by its name: the dynamic linker reads LD_LIBRARY_PATH at
 * the process's start only. Node takes it for an addon, refuses it, and leaves it loaded.
 */
function preload(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW_NODELETE);
  } catch (error) {
    return /did not self-register/.test(String(error));
  }
  return true;
}
