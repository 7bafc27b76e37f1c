/** The web pages of the guide to running, opened in Chromium: one by an import map, one with a worker, built by Vite. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf } from '../documents.js';

const GUIDE = 'guides/running.md';
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
const folder = mkdtempSync(join(tmpdir(), 'lsh-pages-'));

let server: Server;
let browser: Browser;

beforeAll(async () => {
  for (const { name, code } of blocksOf(GUIDE).filter(({ name }) => name !== '')) {
    writeFileSync(join(folder, name), code);
  }
  server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://localhost').pathname;
    try {
      const bytes = readFileSync(fileOf(path));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { findChromium } = await import(pathToFileURL('scripts/chromium.mjs').href);
  const found = findChromium();
  expect(found, 'a Chromium that starts: see LSH_CHROMIUM').toBeDefined();
  browser = await chromium.launch({
    executablePath: found.path,
    env: { ...process.env, ...found.env },
    args: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--no-sandbox'],
  });
});

afterAll(async () => {
  await browser?.close();
  server.close();
  rmSync(folder, { recursive: true });
});

/** The package as if it were installed, everything else of npm as it is, and the page's own files. */
function fileOf(path: string): string {
  const ours = '/node_modules/tfjs-lsh-attention/';
  return path.startsWith(ours)
    ? path.slice(ours.length)
    : join(path.startsWith('/node_modules/') ? '.' : folder, path);
}

/** What a page has to say, once it says it. */
async function said(name: string): Promise<string> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`);
  const text = await page
    .waitForFunction(() => document.body.textContent?.trim(), undefined, { timeout: 60_000 })
    .catch((error) => {
      throw new Error([...errors, error.message].join('\n'));
    });
  return (await text.jsonValue()) as string;
}

test('an import map', async () => {
  expect(await said('page.html')).toBe('webgpu 2,512,64 true');
});

test('a worker', async () => {
  writeFileSync(join(folder, 'index.html'), '<body><script type="module" src="./main.ts"></script></body>');
  await build({
    configFile: false,
    root: folder,
    base: './',
    logLevel: 'error',
    worker: { format: 'es' },
    resolve: {
      alias: {
        'tfjs-lsh-attention': resolve('dist/index.js'),
        '@tensorflow': resolve('node_modules/@tensorflow'),
      },
    },
    build: { outDir: 'built', minify: false },
  });
  expect(await said('built/index.html')).toBe(`${2 * 512 * 64} numbers from the worker`);
});
