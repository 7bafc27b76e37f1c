/**
 * The packed package in projects of users. LSH_COMPATIBILITY=all tries every Node, bundler and way to have tfjs, with
 * what npm installs; without it a page without a bundler and this Node are tried, with the peers of this repository.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { firstLine } from './page.js';
import { install, PRINTED, packInto, projectWith, quickstart, quickstartForBrowsers } from './project.js';

const run = promisify(execFile);
const ALL = process.env.LSH_COMPATIBILITY === 'all';
const root = mkdtempSync(join(tmpdir(), 'lsh-package-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const tarball = packInto(root);
const TFJS = '4.22.0';
const PEERS = ['tfjs-core', 'tfjs-backend-cpu', 'tfjs-backend-webgpu', 'tfjs-layers'].map(
  (name) => `@tensorflow/${name}`,
);

/** Every entry but those for WebGPU, at work on plain tf ops. */
const EVERY_ENTRY = `
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { lshAttention } from 'tfjs-lsh-attention';
import { lshSelfAttention } from 'tfjs-lsh-attention/layers';
import { ByteTokenizer, Reformer } from 'tfjs-lsh-attention/reformer';
import { BruteForceIndex } from 'tfjs-lsh-attention/search';
await tf.setBackend('cpu');
const x = tf.randomNormal([1, 8, 4]);
const index = new BruteForceIndex({ D: 4 });
await index.build(tf.reshape(x, [8, 4]));
const model = new Reformer({ is_decoder: true, vocab_size: 258, axial_pos_shape: [16, 64] });
console.log(
  ...lshAttention(x, x).shape,
  ...lshSelfAttention({ numHeads: 1, keyDim: 4 }).apply(x).shape,
  ...model.logits([new ByteTokenizer().encode('abc')]).shape,
  (await index.query(tf.reshape(x, [8, 4]), { k: 1 })).ids.join(),
);
`;
const EVERY_ANSWER = '1 8 4 1 8 4 1 3 258 0,1,2,3,4,5,6,7';

async function nodePrints(node: string, folder: string, code: string): Promise<string> {
  const file = join(folder, 'program.mjs');
  writeFileSync(file, code);
  return (await run(node, [file], { cwd: folder })).stdout.trim();
}

describe('from this repository’s peers', () => {
  let folder: string;
  beforeAll(() => {
    folder = projectWith(join(root, 'linked'), tarball, [...PEERS, 'webgpu', '@sparticuz/chromium']);
  });

  test('every entry works in this Node', async () => {
    expect(await nodePrints(process.execPath, folder, EVERY_ENTRY)).toBe(EVERY_ANSWER);
  });

  test('the first program runs as a page with an import map', async () => {
    const map = Object.fromEntries(
      ['tfjs-core', 'tfjs-backend-cpu', 'tfjs-backend-webgpu'].map((name) => [
        `@tensorflow/${name}`,
        `/node_modules/@tensorflow/${name}/dist/${name.replace('tfjs', 'tf')}.fesm.min.js`,
      ]),
    );
    writePage(folder, quickstartForBrowsers('@tensorflow/tfjs-core'), map);
    expect(await firstLine(folder, 'index.html')).toMatch(PRINTED);
  });
});

/** A page that runs a program as it is written. */
function writePage(folder: string, code: string, imports: Readonly<Record<string, string>>): void {
  const map = { ...imports, 'tfjs-lsh-attention': '/node_modules/tfjs-lsh-attention/dist/index.js' };
  writeFileSync(
    join(folder, 'index.html'),
    `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports: map })}</script>
<script type="module">${code}</script>`,
  );
}

const BUNDLERS: Readonly<Record<string, (folder: string, out: string) => Promise<unknown>>> = {
  vite: (folder, out) =>
    build({
      configFile: false,
      logLevel: 'error',
      root: folder,
      build: {
        outDir: out,
        target: 'es2022',
        rolldownOptions: { input: join(folder, 'main.js'), output: { entryFileNames: 'main.js' } },
      },
    }),
  esbuild: (folder, out) =>
    run(
      join(folder, 'node_modules/.bin/esbuild'),
      [...['main.js', '--bundle', '--format=esm', '--target=es2022', '--log-level=error', `--outdir=${out}`]],
      { cwd: folder },
    ),
  webpack: (folder, out) => {
    writeFileSync(
      join(folder, 'webpack.config.mjs'),
      `export default { mode: 'production', entry: './main.js', output: { path: ${JSON.stringify(out)}, filename: 'main.js' }, performance: { hints: false } };`,
    );
    return run(join(folder, 'node_modules/.bin/webpack'), [], { cwd: folder });
  },
};

describe.runIf(ALL)('as npm installs it', () => {
  const WAYS = {
    'separate packages': { tfjs: '@tensorflow/tfjs-core', packages: PEERS.map((name) => `${name}@${TFJS}`) },
    'the union package': {
      tfjs: '@tensorflow/tfjs',
      packages: [`@tensorflow/tfjs@${TFJS}`, `@tensorflow/tfjs-backend-webgpu@${TFJS}`],
    },
  };

  describe.each(Object.entries(WAYS))('with %s', (name, { tfjs, packages }) => {
    const folder = join(root, name.replace(/ /g, '-'));
    beforeAll(async () => {
      mkdirSync(folder);
      writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
      await install(folder, [tarball, ...packages, 'esbuild', 'webpack', 'webpack-cli']);
    }, 300_000);

    test('there is one tfjs-core, and one of layers', () => {
      const below = readdirSync(join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' });
      for (const one of ['core', 'layers']) {
        expect(below.filter((path) => path.endsWith(`@tensorflow/tfjs-${one}/package.json`))).toHaveLength(1);
      }
    });

    test.each(Object.keys(BUNDLERS))(
      '%s bundles the first program, and it runs',
      async (bundler) => {
        const out = join(folder, bundler);
        writeFileSync(join(folder, 'main.js'), quickstartForBrowsers(tfjs));
        await BUNDLERS[bundler]?.(folder, out);
        writeFileSync(
          join(out, 'index.html'),
          '<!doctype html><link rel="icon" href="data:,"><script type="module" src="main.js"></script>',
        );
        expect(await firstLine(out, 'index.html')).toMatch(PRINTED);
      },
      180_000,
    );
  });

  test('the union package runs as a page with an import map', async () => {
    const folder = join(root, 'the-union-package');
    const union = '/node_modules/@tensorflow/tfjs/dist/tf.fesm.min.js';
    const names = ['tfjs', 'tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu'].map(
      (name) => `@tensorflow/${name}`,
    );
    const webgpu = '/node_modules/@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.fesm.min.js';
    writePage(folder, quickstartForBrowsers('@tensorflow/tfjs'), {
      ...Object.fromEntries(names.map((name) => [name, union])),
      '@tensorflow/tfjs-backend-webgpu': webgpu,
    });
    expect(await firstLine(folder, 'index.html')).toMatch(PRINTED);
  });

  describe.each([20, 22, 24])('Node %i', (major) => {
    const folder = join(root, `node-${major}`);
    const node = join(folder, 'node_modules/.bin/node');
    beforeAll(async () => {
      mkdirSync(folder);
      writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
      await install(folder, [
        tarball,
        `node@${major}`,
        ...PEERS.map((name) => `${name}@${TFJS}`),
        'webgpu',
        '@sparticuz/chromium',
      ]);
    }, 300_000);

    test('is that Node', async () => {
      expect((await run(node, ['--version'])).stdout).toMatch(new RegExp(`^v${major}\\.`));
    });

    test('runs the first program', async () => {
      expect(await nodePrints(node, folder, quickstart())).toMatch(PRINTED);
    });

    test('runs every entry', async () => {
      expect(await nodePrints(node, folder, EVERY_ENTRY)).toBe(EVERY_ANSWER);
    });
  });
});
