import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Manifest {
  readonly exports: Record<string, string | { readonly types: string; readonly default: string }>;
  readonly dependencies?: object;
  readonly scripts: Record<string, string>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;

function packedFiles(): string[] {
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('js') ? [process.execPath, [npm]] : ['npm', []];
  const output = execFileSync(command, [...first, 'pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const packed = JSON.parse(output);
  const [entry] = Array.isArray(packed) ? packed : Object.values(packed);
  return (entry as { files: { path: string }[] }).files.map(({ path }) => path);
}

test('the package holds the library, the kernels and its papers, nothing else', () => {
  const files = packedFiles();
  for (const file of [
    'LICENSE',
    'README.md',
    'package.json',
    'dist/index.js',
    'dist/layers.js',
    'dist/node.js',
    'dist/reformer.js',
    'dist/search.js',
    'dist/webgpu.js',
  ]) {
    expect(files).toContain(file);
  }
  for (const file of files) {
    expect(file).toMatch(/^(dist|kernels)\/|^(LICENSE|README\.md|CHANGELOG\.md|package\.json)$/);
    expect(file).not.toMatch(/\.test\.|\.built/);
  }
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

test.each([
  ['index.js', ['@tensorflow/tfjs-core']],
  ['layers.js', ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers']],
  ['reformer.js', ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers']],
])('%s imports nothing but its peers', (entry, peers) => {
  const imported = new Set<string>();
  const visit = (file: string) => {
    for (const [, path] of readFileSync(join('dist', file), 'utf8').matchAll(
      /^(?:im|ex)port .*?from "(.+?)";/gm,
    )) {
      if (path?.startsWith('./')) {
        visit(path);
      } else if (path !== undefined) {
        imported.add(path);
      }
    }
  };
  visit(entry);
  expect([...imported].sort()).toEqual(peers);
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
