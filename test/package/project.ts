/** Projects of users in folders of their own, with the package as npm packs it. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** npm, as this process was started by it. */
export function npm(): [string, string[]] {
  const path = process.env.npm_execpath;
  return path?.endsWith('js') ? [process.execPath, [path]] : ['npm', []];
}

/** Packs the package, and gives the path of its file. */
export function packInto(folder: string): string {
  const [command, first] = npm();
  const packed = execFileSync(
    command,
    [...first, 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder],
    { encoding: 'utf8' },
  );
  return join(folder, packed.trim().split('\n').at(-1) as string);
}

/** A project with the packed package, and peers that this repository has. */
export function projectWith(folder: string, tarball: string, peers: readonly string[]): string {
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, 'tfjs-lsh-attention'), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', join(packages, 'tfjs-lsh-attention'), '--strip-components=1']);
  for (const peer of peers) {
    mkdirSync(join(packages, peer, '..'), { recursive: true });
    symlinkSync(resolve('node_modules', peer), join(packages, peer), 'dir');
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
  return folder;
}

/** Installs packages into a project as a user does. */
export async function install(folder: string, packages: readonly string[]): Promise<void> {
  const [command, first] = npm();
  await run(command, [...first, 'install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], {
    cwd: folder,
  });
}

/** The README's first program in JavaScript. */
export function quickstart(): string {
  const [, code] = /```ts\n(.*?)```/s.exec(readFileSync('README.md', 'utf8')) ?? [];
  return code as string;
}

/** The same for a browser, as its comment says, with tfjs from `tfjs`. */
export function quickstartForBrowsers(tfjs: string): string {
  return quickstart()
    .replace(/import { useWebGPU } .*\n/, "import '@tensorflow/tfjs-backend-webgpu';\n")
    .replace(/await useWebGPU\(\);.*\n/, "await tf.setBackend('webgpu');\n")
    .replace("'@tensorflow/tfjs-core'", `'${tfjs}'`);
}

/** What the program prints: a shape, and four numbers. */
export const PRINTED = /\[?\s*1,\s*4,\s*1024,\s*64\s*\]?\s+(-?\d+\.\d+(e-?\d+)?\s*){4}$/;
