/** Installs the peers into bench/peers, which git ignores: none is a dependency. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { progress, say } from '../examples/output/terminal.js';
import type { Suite } from './options.js';
import { PEERS_FOLDER } from './peers.js';

const ONNXRUNTIME = 'onnxruntime-node@1.30.0';
const SEARCH = ['hnswlib-node@3', 'usearch@2', 'minhash@0.0.9'];

/** Installs what can be had of the peers of some suites; says what cannot. */
export async function installPeers(suites: readonly Suite[]): Promise<void> {
  mkdirSync(PEERS_FOLDER, { recursive: true });
  const about = join(PEERS_FOLDER, 'package.json');
  if (!existsSync(about)) {
    writeFileSync(about, `${JSON.stringify({ private: true })}\n`);
  }
  if (suites.includes('search')) {
    for (const name of SEARCH) {
      await npmInstall(name);
    }
  }
  if (suites.some((suite) => suite !== 'search')) {
    await installAttention();
  }
}

async function installAttention(): Promise<void> {
  // Its install script would fetch CUDA.
  await npmInstall(ONNXRUNTIME, '--ignore-scripts');
  await step('tfjs-node', process.execPath, [
    fileURLToPath(new URL('../scripts/installTfjsNode.mjs', import.meta.url)),
  ]);
  const venv = join(PEERS_FOLDER, 'venv');
  if (!(await step('a Python environment', 'python3', ['-m', 'venv', venv]))) {
    return;
  }
  const pip = join(venv, 'bin', 'pip');
  const install = (name: string) => step(name, pip, ['install', '--quiet', '--retries', '1', name]);
  if ((await install('torch')) && (await install('numpy'))) {
    await install('reformer-pytorch');
  }
}

function npmInstall(name: string, ...options: string[]): Promise<boolean> {
  return step(name, 'npm', [
    ...['install', '--prefix', PEERS_FOLDER, ...options, '--no-audit', '--no-fund'],
    ...['--no-package-lock', '--loglevel=error', name],
  ]);
}

async function step(what: string, file: string, args: readonly string[]): Promise<boolean> {
  progress(`installing ${what}`);
  let complaints = '';
  const code = await new Promise<number>((resolve) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    });
    child.stderr.on('data', (text) => {
      complaints = `${complaints}${text}`.slice(-2000);
    });
    child.on('error', (error) => {
      complaints += error.message;
      resolve(1);
    });
    child.on('close', (status) => resolve(status ?? 1));
  });
  if (code !== 0) {
    say(`${what} cannot be installed here: ${complaints.trim().split('\n').at(-1) ?? `exit ${code}`}`);
  }
  return code === 0;
}
