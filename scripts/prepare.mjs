/** What every command of this repository needs first: installed packages and a built library. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const LEAST_NODE = [20, 19];

/** Installs what package-lock.json lists, unless that was done before. */
export async function install() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
    fail(`Node ${LEAST_NODE.join('.')} or newer is needed, this is ${process.versions.node}.`);
  }
  await unlessDone('node_modules/.installed', ['package-lock.json'], async () => {
    say('Installing packages (npm ci) …');
    const npm = process.env.npm_execpath;
    const [command, first] = npm?.endsWith('js') ? [process.execPath, [npm]] : [npm ?? 'npm', []];
    await run(command, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error']);
  });
}

/** Builds dist/ from the sources, unless it is up to date. */
export async function build() {
  const sources = [
    'src',
    'kernels',
    'vite.config.ts',
    'scripts/leanWgsl.ts',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
  ];
  await unlessDone('dist/.built', sources, async () => {
    say('Building the library (vite, tsc) …');
    await run(process.execPath, [bin('vite'), 'build', '--logLevel', 'warn']);
    await run(process.execPath, [bin('typescript', 'tsc'), '-p', 'tsconfig.build.json']);
  });
}

/** The script behind a package's command. */
export function bin(name, command = name) {
  const folder = join(root, 'node_modules', name);
  const entry = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).bin;
  return join(folder, typeof entry === 'string' ? entry : entry[command]);
}

/** Runs a command to its end with this terminal; a failure ends this process too. */
export async function run(command, args, { env = {}, mayFail = false } = {}) {
  // Ctrl-C reaches the child as well, which ends in its own time.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : 1)));
  });
  process.off('SIGINT', ignore);
  if (code !== 0 && !mayFail) {
    process.exit(code);
  }
  return code;
}

export function say(text) {
  process.stderr.write(`${text}\n`);
}

export function fail(text) {
  say(text);
  process.exit(1);
}

/** Does `work` when the files it depends on have changed since it was last done to the end. */
async function unlessDone(stamp, dependencies, work) {
  const hash = createHash('sha256');
  for (const path of dependencies.flatMap((path) => filesBelow(join(root, path)))) {
    hash.update(path.slice(root.length)).update(readFileSync(path));
  }
  const digest = hash.digest('hex');
  const path = join(root, stamp);
  if (existsSync(path) && readFileSync(path, 'utf8') === digest) {
    return;
  }
  await work();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, digest);
}

function filesBelow(path) {
  try {
    return readdirSync(path)
      .sort()
      .flatMap((name) => filesBelow(join(path, name)));
  } catch {
    return existsSync(path) ? [path] : [];
  }
}
