/**
 * npm test [-- STEP …]: everything, or the steps named: lint types docs unit fuzz gpu browser demo package examples.
 * GPU tests run on LSH_ADAPTER; without it on lavapipe where it is installed, and some on SwiftShader.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { bin, build, fail, install, root, run, say } from './prepare.mjs';

const vitest = (args, env) => run(process.execPath, [bin('vitest'), 'run', ...args], { env, mayFail: true });
const command = (name, args, entry) => run(process.execPath, [bin(name, entry), ...args], { mayFail: true });

const gpuFiles = (...names) => names.map((name) => `test/gpu/${name}.test.ts`);
/** What runs again on a device with all that the adapter offers: the kernels that have variants for it. */
const OWN_DEVICE = [...gpuFiles('kernels', 'attention', 'dense', 'dropout', 'numbers'), 'test/golden'];
/** What runs on a second adapter too, where there is one: every kernel by itself. */
const SECOND_ADAPTER = gpuFiles('kernels', 'decodeKernels', 'hadamard');
/** What runs on the second adapter alone, where there is one: SwiftShader compiles it three times as fast. */
const DEEP = ['--tags-filter=deep', ...gpuFiles('gradient', 'numbers')];

const STEPS = {
  lint: () => command('@biomejs/biome', ['check', '--error-on-warnings'], 'biome'),
  types: () => command('typescript', ['-p', '.'], 'tsc'),
  docs: () => command('typedoc', ['--emit', 'none']),
  unit: () => vitest(['--project', 'node', 'test/unit', 'test/transformers']),
  // On an adapter every set of options is a pipeline to compile: LSH_BACKENDS=webgpu does it.
  fuzz: () => vitest(['--project', 'gpu', 'test/fuzz'], { LSH_BACKENDS: process.env.LSH_BACKENDS ?? 'cpu' }),
  gpu: async () => {
    let code = 0;
    for (const { args, ...env } of gpuRuns(adapters())) {
      const device = env.LSH_DEVICE ? ', own device' : '';
      say(`— GPU tests on ${env.LSH_ADAPTER}${device}: ${args.length > 0 ? args.join(' ') : 'all'}`);
      code ||= await vitest(['--project', 'gpu', '--exclude', 'test/fuzz/**', ...args], env);
    }
    return code;
  },
  browser: () => inChromium(['--project', 'browser']),
  demo: () => inChromium(['--project', 'node', '--no-file-parallelism', 'test/demo']),
  package: async () =>
    (await command('publint', ['--strict'])) ||
    (await command('@arethetypeswrong/cli', ['--pack', '.', '--profile', 'esm-only', '--quiet'], 'attw')) ||
    (await inChromium(['--project', 'node', 'test/package'])),
  examples: () => vitest(['--project', 'node', 'test/examples'], { LSH_ADAPTER: adapters()[0] }),
};

/** All steps in their order. Those of one line run side by side: alone, none of them would use two cores. */
const GROUPS = [
  ['types', 'docs', 'lint'],
  ['unit'],
  ['fuzz'],
  ['gpu'],
  ['browser', 'examples'],
  ['demo'],
  ['package'],
];

/** What the GPU tests run on, one after the other, with which arguments. */
function gpuRuns([first, second]) {
  const rest = second ? ['--tags-filter=!deep'] : [];
  const runs = [{ LSH_ADAPTER: first, LSH_BACKENDS: 'webgpu,cpu', args: rest }];
  if (first === 'swiftshader') {
    say('— skipped: variants for subgroups, which are too small on SwiftShader.');
  } else {
    const own = { LSH_BACKENDS: 'webgpu', LSH_DEVICE: 'own' };
    runs.push({ LSH_ADAPTER: first, ...own, args: [...rest, ...OWN_DEVICE] });
  }
  if (second) {
    runs.push({ LSH_ADAPTER: second, LSH_BACKENDS: 'webgpu', args: SECOND_ADAPTER });
    runs.push({ LSH_ADAPTER: second, LSH_BACKENDS: 'webgpu,cpu', args: DEEP });
  }
  return runs;
}

/** Tests that need a Chromium, whose path they are given. */
async function inChromium(args) {
  const { findChromium } = await import('./chromium.mjs');
  const chromium = findChromium();
  if (chromium === undefined) {
    say('No Chromium starts here. Install your system’s chromium, or set LSH_CHROMIUM to the path of one.');
    return 1;
  }
  say(`— Chromium: ${chromium.path}`);
  return await vitest(args, { ...chromium.env, LSH_CHROMIUM: chromium.path });
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in STEPS));
if (unknown !== undefined) {
  fail(`There is no step ${unknown}. The steps are ${Object.keys(STEPS).join(', ')}.`);
}
await install();
await build();

const results = [];
const groups = wanted.length > 0 ? wanted.map((name) => [name]) : GROUPS;
for (const [first, ...others] of groups) {
  say(`\n== ${[first, ...others].join(', beside it ')}`);
  const beside = others.map((name) => timed(name, () => inProcess(name)));
  await timed(first, STEPS[first]);
  await Promise.all(beside);
  if (results.some(({ code }) => code === 130)) {
    break;
  }
}
console.log();
for (const { name, code, seconds } of results) {
  console.log(`${code === 0 ? 'passed' : 'FAILED'}  ${name.padEnd(10)} ${seconds} s`);
}
const failed = results.filter(({ code }) => code !== 0).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function timed(name, work) {
  const started = Date.now();
  const code = await work();
  results.push({ name, code, seconds: Math.round((Date.now() - started) / 1000) });
}

/** Runs a step in a process of its own, and shows what it said once it has ended. */
async function inProcess(name) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), name], { cwd: root });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => said.push(bytes));
  }
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  say(`\n== ${name}, which ran beside\n${Buffer.concat(said).toString()}`);
  return code;
}

/** Adapters to test on: the one asked for, else the software adapters that there are, the fast one first. */
function adapters() {
  if (process.env.LSH_ADAPTER) {
    return [process.env.LSH_ADAPTER];
  }
  return ['lavapipe', 'swiftshader'].filter((adapter) => {
    const probe = `await (await import('tfjs-lsh-attention/node')).exposeWebGPU({ adapter: '${adapter}' });`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', probe], {
      cwd: root,
      encoding: 'utf8',
    });
    if (status !== 0) {
      say(
        `— skipped: GPU tests on ${adapter}. ${stderr.match(/- \w+: .*/)?.[0] ?? stderr.trim().slice(-300)}`,
      );
    }
    return status === 0;
  });
}
