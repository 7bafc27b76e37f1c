import { pathToFileURL } from 'node:url';
import { root, run } from './prepare.mjs';

/** Runs a file in Node with WebGPU's globals set and the package importable by its name. */
export async function runWithGpu(path, args = []) {
  const preload = pathToFileURL(`${root}/scripts/gpuPreload.mjs`).href;
  const node = ['--import', import.meta.resolve('tsx'), '--import', preload, path, ...args];
  return await run(process.execPath, node, { mayFail: true });
}
