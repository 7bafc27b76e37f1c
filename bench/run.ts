/**
 * npm run bench -- [--suite NAME] [options]: milliseconds, rates, shares of the adapter's ceilings, bytes and
 * ratios against other implementations. `npm run bench -- --help` lists suites and options; README.md of this
 * folder has the rules.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { measureCeilings } from 'tfjs-lsh-attention/webgpu';
import { progress, say } from '../examples/output/terminal.js';
import type { Context } from './context.js';
import { Devices } from './devices.js';
import { Collected, type Findings, faultsOf } from './findings.js';
import { Inputs } from './inputs.js';
import { installPeers } from './install.js';
import { type BenchOptions, HELP, parsedOptions, type Suite } from './options.js';
import { benchPage } from './page.js';
import { markdown } from './report.js';
import { benchAttention } from './suites/attention.js';
import { benchComposed } from './suites/composed.js';
import { benchCopy } from './suites/copy.js';
import { benchKernels } from './suites/kernels.js';
import { benchMemory } from './suites/memory.js';
import { benchScaling } from './suites/scaling.js';
import { benchSearch } from './suites/search.js';
import { benchWindows } from './suites/windows.js';

const BENCHES: Record<Exclude<Suite, 'copy' | 'search'>, (context: Context) => Promise<void>> = {
  kernels: benchKernels,
  attention: (context) => benchAttention(context, 'attention'),
  training: (context) => benchAttention(context, 'training'),
  memory: benchMemory,
  scaling: benchScaling,
  peers: (context) => benchAttention(context, 'peers'),
  windows: benchWindows,
  composed: benchComposed,
};

/** Where the user stands, not npm. */
const fileOf = (path: string) => resolve(process.env.INIT_CWD ?? '.', path);

async function main(args: string[]): Promise<number> {
  let options: BenchOptions | undefined;
  let before: Findings | undefined;
  try {
    options = parsedOptions(args);
    before = options && earlier(options);
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  if (options.install) {
    await installPeers(options.suites);
  }
  if (options.suites.includes('search')) {
    return await benchSearch(options);
  }
  return options.suites.includes('copy') ? await benchCopy(options) : await bench(options, before);
}

async function bench(options: BenchOptions, before?: Findings): Promise<number> {
  let interrupted = false;
  process.once('SIGINT', () => {
    interrupted = true;
    progress('stopping after this run; Ctrl-C again ends at once');
  });
  const devices = await Devices.open();
  devices.use('best');
  const findings = new Collected(devices.description, await measureCeilings(), before);
  const inputs = new Inputs();
  const save = () => {
    for (const [path, text] of [
      [options.json, () => `${JSON.stringify(findings, null, 2)}\n`],
      [options.markdown, () => markdown(findings)],
      [options.html, () => benchPage(findings)],
    ] as const) {
      if (path !== undefined) {
        writeFileSync(fileOf(path), text());
      }
    }
  };
  const context: Context = {
    ...{ options, devices, findings, inputs, save, progress },
    stopped: () => interrupted,
  };
  try {
    for (const suite of options.suites) {
      if (!interrupted && suite !== 'copy' && suite !== 'search') {
        await BENCHES[suite](context);
      }
    }
  } finally {
    inputs.dispose();
    save();
  }
  say(markdown(findings));
  for (const path of [options.json, options.markdown, options.html]) {
    if (path !== undefined) {
      say(`written: ${path}`);
    }
  }
  if (interrupted) {
    say(
      options.json === undefined
        ? 'Stopped; above is what was measured.'
        : 'Stopped. The same command with --resume goes on from here.',
    );
  }
  return interrupted ? 130 : 0;
}

/** What an earlier run measured, where it is to be gone on from. */
function earlier({ json, resume }: BenchOptions): Findings | undefined {
  if (!resume || json === undefined || !existsSync(fileOf(json))) {
    return undefined;
  }
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(fileOf(json), 'utf8'));
  } catch (error) {
    throw new Error(`${json} is no JSON (${(error as Error).message}). Leave --resume out to start over.`);
  }
  const faults = faultsOf(found);
  if (faults.length > 0) {
    throw new Error(`${json} is not of this bench: ${faults[0]}. Leave --resume out to start over.`);
  }
  return found as Findings;
}

process.exitCode = await main(process.argv.slice(2));
// Devices live as long as the process: it would wait for them.
process.exit();
