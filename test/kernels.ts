import {
  attendKernels,
  decodeKernels,
  denseKernels,
  hashKernels,
  sortKernels,
} from '../src/attention/kernels.js';
import { subgroupKernels } from '../src/attention/subgroups.js';
import { minhashKernels } from '../src/hashing/minhash/webgpu.js';
import { searchKernels } from '../src/search/kernels.js';
import { probeKernels } from '../src/webgpu/ceilings.js';
import type { KernelName } from '../src/webgpu/kernels.js';

/** Every kernel's text: the tables of all rooms together. */
export const kernels: Readonly<Record<KernelName, string>> = {
  ...{ ...hashKernels, ...sortKernels, ...attendKernels, ...denseKernels, ...subgroupKernels },
  ...{ ...decodeKernels, ...minhashKernels, ...searchKernels, ...probeKernels },
};
export const KERNEL_NAMES = Object.keys(kernels) as KernelName[];
