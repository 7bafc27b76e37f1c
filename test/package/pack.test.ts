import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { npm } from './project.js';

interface Manifest {
  readonly exports: Record<string, string | { readonly types: string; readonly default: string }>;
  readonly dependencies?: object;
  readonly scripts: Record<string, string>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;

function packedFiles(): string[] {
  const [command, first] = npm();
  const output = execFileSync(command, [...first, 'pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const packed = JSON.parse(output);
  const [entry] = Array.isArray(packed) ? packed : Object.values(packed);
  return (entry as { files: { path: string }[] }).files.map(({ path }) => path);
}

/** Files below a folder, with names of an ending. */
const filesBelow = (folder: string, ending: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending));

test('the package holds the library, the kernels and its papers, nothing else', () => {
  const code = packedFiles().filter((file) => !/^(dist\/types|kernels)\//.test(file));
  expect(code.sort()).toMatchInlineSnapshot(`
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist/chunks/LshCache.js",
      "dist/chunks/LshCache.js.map",
      "dist/chunks/cost.js",
      "dist/chunks/cost.js.map",
      "dist/chunks/denseAttention.js",
      "dist/chunks/denseAttention.js.map",
      "dist/chunks/hash.js",
      "dist/chunks/hash.js.map",
      "dist/chunks/kernels.js",
      "dist/chunks/kernels.js.map",
      "dist/chunks/layerArgs.js",
      "dist/chunks/layerArgs.js.map",
      "dist/chunks/localAttention.js",
      "dist/chunks/localAttention.js.map",
      "dist/chunks/safetensors.js",
      "dist/chunks/safetensors.js.map",
      "dist/chunks/subgroups.js",
      "dist/chunks/subgroups.js.map",
      "dist/chunks/watch.js",
      "dist/chunks/watch.js.map",
      "dist/index.js",
      "dist/layers.js",
      "dist/layers.js.map",
      "dist/node.js",
      "dist/node.js.map",
      "dist/reformer.js",
      "dist/reformer.js.map",
      "dist/search.js",
      "dist/search.js.map",
      "dist/webgpu.js",
      "dist/webgpu.js.map",
      "package.json",
    ]
  `);
});

test('it has the types of every source, and every kernel', () => {
  const files = packedFiles();
  const types = filesBelow('src', '.ts')
    .filter((name) => !name.endsWith('.d.ts'))
    .map((name) => `dist/types/${name.replace(/\.ts$/, '.d.ts')}`);
  expect(files.filter((file) => file.startsWith('dist/types/')).sort()).toEqual(types.sort());
  const kernels = [...filesBelow('kernels', '.wgsl'), 'README.md'].map((name) => `kernels/${name}`);
  expect(files.filter((file) => file.startsWith('kernels/')).sort()).toEqual(kernels.sort());
});

test('every entry of the exports is packed', () => {
  const files = packedFiles();
  for (const entry of Object.values(manifest.exports)) {
    for (const path of typeof entry === 'string' ? [entry] : Object.values(entry)) {
      expect(files).toContain(path.replace('./', ''));
    }
  }
});

test('there is no runtime dependency and no install script', () => {
  expect(manifest.dependencies ?? {}).toEqual({});
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    expect(manifest.scripts[script]).toBeUndefined();
  }
});

/** What each entry imports from outside, and the most kB (gzip) that it may bring into a bundle. */
const ENTRIES: readonly (readonly [string, number, readonly string[]])[] = [
  ['index', 40, ['@tensorflow/tfjs-core']],
  ['layers', 38, ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers']],
  ['reformer', 62, ['@huggingface/tokenizers', '@tensorflow/tfjs-core', '@tensorflow/tfjs-layers']],
  ['search', 43, ['@tensorflow/tfjs-core']],
  ['webgpu', 45, ['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs-core']],
  ['node', 5, ['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs-core', 'webgpu']],
];

/** An entry with all that it needs but its peers, minified, as a user's bundler would put it together. */
async function bundled(entry: string) {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      rolldownOptions: {
        input: `dist/${entry}.js`,
        external: [/^[@a-z]/, /^node:/],
        preserveEntrySignatures: 'strict',
        output: { codeSplitting: false },
      },
    },
  });
  const [chunk] = (result as Rolldown.RolldownOutput).output;
  return chunk;
}

// size-limit would do the same by a bundler of its own; vite is here already.
test.each(ENTRIES)('%s takes at most %i kB and imports nothing but %o', async (entry, most, peers) => {
  const { code, imports, dynamicImports } = await bundled(entry);
  const outside = [...imports, ...dynamicImports].filter((name) => !name.startsWith('node:'));
  expect([...new Set(outside)].sort()).toEqual(peers);
  const kilobytes = gzipSync(code, { level: 9 }).length / 1000;
  console.info(`${entry}: ${kilobytes.toFixed(1)} kB`);
  expect(kilobytes).toBeLessThanOrEqual(most);
  expect(kilobytes).toBeGreaterThan(1);
});

test('no import of the sources is circular', () => {
  const visiting: string[] = [];
  const done = new Set<string>();
  const visit = (file: string) => {
    if (done.has(file)) {
      return;
    }
    expect(visiting, `${[...visiting, file].join(' → ')}`).not.toContain(file);
    visiting.push(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(
      /^import (?!type)[^;]*?from '(\..+?)\.js';/gm,
    )) {
      visit(join(file, '..', `${path}.ts`));
    }
    visiting.pop();
    done.add(file);
  };
  for (const file of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.ts') && !file.endsWith('.d.ts')) {
      visit(join('src', file));
    }
  }
  expect(done.size).toBeGreaterThan(10);
});
