/** npm run gpu -- FILE [args]: runs a TypeScript or JavaScript file in Node with WebGPU. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { build, fail, install } from './prepare.mjs';

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  fail('Usage: npm run gpu -- FILE [args]\nLSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter.');
}
const path = resolve(process.env.INIT_CWD ?? process.cwd(), file);
if (!existsSync(path)) {
  fail(`There is no file ${path}.`);
}
await install();
await build();
const { runWithGpu } = await import('./withGpu.mjs'); // its packages are installed only now
process.exitCode = await runWithGpu(path, args);
