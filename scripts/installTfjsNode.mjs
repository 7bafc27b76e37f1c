/**
 * node scripts/installTfjsNode.mjs [FOLDER]: installs tfjs-node into a folder of its own
 * (bench/peers/tfjs-node). First as npm does it, which downloads libtensorflow; where that fails, by
 * building its addon against the TensorFlow of a Python wheel, on Linux with pip, make and a C++ compiler.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { root, say } from './prepare.mjs';

const PACKAGE = '@tensorflow/tfjs-node@4.22.0';
const folder = resolve(process.argv[2] ?? join(root, 'bench/peers/tfjs-node'));
const addon = join(folder, 'node_modules/@tensorflow/tfjs-node');
const wheel = join(folder, 'wheel');

/** Fails unless the package loads and multiplies. */
const SMOKE = `
  require('util').isNullOrUndefined ??= (x) => x == null; // gone since Node 23
  const tf = require('@tensorflow/tfjs-node');
  const [sum] = tf.matMul([[1, 2]], [[3], [4]]).dataSync();
  if (sum !== 11) throw new Error('1·3 + 2·4 is not ' + sum);
  console.log(tf.version['tfjs-node'] + ' runs, on TensorFlow ' + tf.backend().binding.TF_Version);`;

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{ "private": true, "scripts": { "node-gyp": "node-gyp" } }\n');
const works =
  (existsSync(addon) && tried('as it is', () => {})) ||
  tried('by npm install', () => run('npm', ['install', '--no-audit', '--no-fund', PACKAGE])) ||
  tried('against the TensorFlow of a wheel', buildAgainstWheel);
process.exitCode = works ? 0 : 1;

/** Whether the package works after `install`. */
function tried(name, install) {
  try {
    install();
    say(`tfjs-node ${run(process.execPath, ['-e', SMOKE]).trim().split('\n').at(-1)} (${folder})`);
    return true;
  } catch (error) {
    say(`tfjs-node does not work ${name}: ${error.message}\n`);
    return false;
  }
}

function buildAgainstWheel() {
  if (process.platform !== 'linux') {
    throw new Error(`the steps are known for linux only, this is ${process.platform}`);
  }
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', PACKAGE]);
  if (!existsSync(join(wheel, 'tensorflow'))) {
    const name = process.arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow';
    run('python3', ['-m', 'pip', 'install', '--no-deps', '--target', wheel, name]);
  }
  linkTensorFlow();
  const prefix = dirname(dirname(process.execPath));
  // The headers of this Node, where it brings them; else node-gyp downloads them.
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  run('npm', [
    ...['run', 'node-gyp', '--', 'rebuild', '-C', addon, ...headers],
    ...['--module_name=tfjs_binding', `--module_path=${join(addon, 'lib/napi-v8')}`],
    ...['--node_abi_napi=napi', '--napi_version=9', '--napi_build_version=8'],
  ]);
}

/** Where the addon's build looks for libtensorflow: the wheel's headers and libraries. */
function linkTensorFlow() {
  const deps = join(addon, 'deps');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(join(deps, 'lib'), { recursive: true });
  symlinkSync(join(wheel, 'tensorflow/include'), join(deps, 'include'));
  for (const [name, file] of [
    ['libtensorflow', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework', 'libtensorflow_framework.so.2'],
  ]) {
    for (const link of new Set([file, `${name}.so`, `${name}.so.2`])) {
      symlinkSync(join(wheel, 'tensorflow', file), join(deps, 'lib', link));
    }
  }
}

/** The output of a command; throws what it said when it fails. */
function run(command, args) {
  say(`… ${[command, ...args].join(' ').trim().split('\n')[0]}`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) {
    const said = (error?.message ?? `${stdout}\n${stderr}`)
      .split('\n')
      .filter((line) => !/^(npm error)?\s*(at |$)/.test(line));
    throw new Error(`${command} failed:\n${said.slice(0, 12).join('\n')}`);
  }
  return stdout;
}
