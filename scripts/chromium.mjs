/** Finds a Chromium for the browser tests: LSH_CHROMIUM, the system's, or the one from npm. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root, say } from './prepare.mjs';

const SYSTEM = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join('/usr/bin', name));

/** The path of a Chromium that starts, with what its environment needs; undefined where there is none. */
export function findChromium() {
  const system = [process.env.LSH_CHROMIUM, ...SYSTEM].find((path) => path && existsSync(path));
  if (system !== undefined) {
    return { path: system, env: {} };
  }
  const { version } = JSON.parse(
    readFileSync(join(root, 'node_modules/@sparticuz/chromium/package.json'), 'utf8'),
  );
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tfjs-lsh-attention');
  // Second, with the libraries that the package brings for systems without them.
  for (const [suffix, env] of [
    ['', {}],
    ['-libraries', { AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' }],
  ]) {
    const folder = join(cache, `chromium-${version}${suffix}`);
    const found = unpack(folder, env);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

/** Unpacks the package's Chromium into a folder, once, and tries to start it. */
function unpack(folder, env) {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'chromium'))) {
    say(`Unpacking Chromium into ${folder} …`);
  }
  const script = `
    const { default: chromium } = await import('@sparticuz/chromium');
    const path = await chromium.executablePath();
    console.log(JSON.stringify({ path, env: { LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH ?? '' } }));`;
  const unpacked = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { ...process.env, ...env, TMPDIR: folder },
    encoding: 'utf8',
  });
  if (unpacked.status !== 0) {
    return undefined;
  }
  const found = JSON.parse(unpacked.stdout);
  const started = spawnSync(found.path, ['--version'], { env: { ...process.env, ...found.env } });
  return started.status === 0 ? found : undefined;
}
