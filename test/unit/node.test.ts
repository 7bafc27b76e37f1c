import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

/** The entry `tfjs-lsh-attention/node`, each time in a process of its own: an adapter is chosen once. */

const cache = mkdtempSync(join(tmpdir(), 'lsh-cache-'));
afterAll(() => rmSync(cache, { recursive: true }));

function inNode(script: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, LSH_ADAPTER: '', ...env },
  });
  return { status, stdout, stderr };
}

const expose = (options: string) =>
  `const { exposeWebGPU } = await import('tfjs-lsh-attention/node');
   console.log(JSON.stringify(await exposeWebGPU(${options})));`;

test('SwiftShader is unpacked into the cache, once', () => {
  const first = inNode(expose("{ adapter: 'swiftshader' }"), { XDG_CACHE_HOME: cache });
  expect(first.stderr).not.toMatch(/Error/);
  expect(JSON.parse(first.stdout)).toMatchObject({ kind: 'swiftshader' });
  const folders = readdirSync(join(cache, 'tfjs-lsh-attention'));
  expect(folders).toEqual([expect.stringMatching(/^swiftshader-\d/)]);
  const files = readdirSync(join(cache, 'tfjs-lsh-attention', folders[0] as string));
  expect(files).toEqual(expect.arrayContaining(['libvk_swiftshader.so', 'libvulkan.so.1']));
  const second = inNode(expose("{ adapter: 'swiftshader' }"), { XDG_CACHE_HOME: cache });
  expect(JSON.parse(second.stdout)).toMatchObject({ kind: 'swiftshader' });
  expect(readdirSync(join(cache, 'tfjs-lsh-attention'))).toEqual(folders);
});

test('without an option and a GPU there still is an adapter', () => {
  const { stdout, stderr } = inNode(expose(''), { XDG_CACHE_HOME: cache });
  expect(stderr).not.toMatch(/Error/);
  expect(['gpu', 'lavapipe', 'swiftshader']).toContain(JSON.parse(stdout).kind);
});

test('an unknown adapter is refused, from the option and from the environment', () => {
  const message =
    /RangeError: useWebGPU: `adapter` \(or LSH_ADAPTER\) must be 'gpu', 'lavapipe', 'swiftshader', got 'quantum'/;
  expect(inNode(expose("{ adapter: 'quantum' }")).stderr).toMatch(message);
  expect(inNode(expose(''), { LSH_ADAPTER: 'quantum' }).stderr).toMatch(message);
});

test('a GPU that is not there is missed in words', () => {
  const { status, stdout, stderr } = inNode(expose("{ adapter: 'gpu' }"));
  if (status === 0) {
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'gpu' }); // there is one
  } else {
    expect(stderr).toMatch(/Error: useWebGPU: there is no WebGPU adapter\.\n- gpu: no /);
  }
});

test('a process keeps its adapter', () => {
  const { stderr } = inNode(
    `const { exposeWebGPU } = await import('tfjs-lsh-attention/node');
     await exposeWebGPU({ adapter: 'swiftshader' });
     await exposeWebGPU({ adapter: 'gpu' });`,
    { XDG_CACHE_HOME: cache },
  );
  expect(stderr).toMatch(/Error: useWebGPU: this process already uses .*Ask for 'gpu' in the first call/);
});

test('useOwnDevice without WebGPU says what to do', () => {
  const { stderr } = inNode(
    `const { useOwnDevice } = await import('tfjs-lsh-attention/webgpu'); await useOwnDevice();`,
  );
  expect(stderr).toMatch(/useOwnDevice: there is no WebGPU adapter here\. In Node call exposeWebGPU\(\)/);
});
