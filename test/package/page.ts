/** Folders of files as pages in a headless Chromium. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html',
  js: 'text/javascript',
  json: 'application/json',
};

/** Serves a folder while `during` works with its address. */
async function served<T>(folder: string, during: (address: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url ?? '/', 'http://localhost').pathname));
    if (!existsSync(path) || !statSync(path).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('content-type', TYPES[path.split('.').at(-1) as string] ?? 'application/octet-stream');
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await during(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

/** The first line that a page of a folder logs, or its error. */
export async function firstLine(folder: string, page: string): Promise<string> {
  const executablePath = process.env.LSH_CHROMIUM;
  if (executablePath === undefined) {
    throw new Error('Set LSH_CHROMIUM to the path of a Chromium, as npm test does.');
  }
  const browser = await chromium.launch({
    executablePath,
    args: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--no-sandbox'],
  });
  try {
    return await served(folder, async (address) => {
      const tab = await browser.newPage();
      const line = new Promise<string>((resolve) => {
        tab.on('console', (message) => {
          // tfjs says a thing or two of its own, as warnings.
          if (message.type() === 'log') {
            resolve(message.text());
          } else if (message.type() === 'error') {
            resolve(`error: ${message.text()} ${message.location().url}`);
          }
        });
        tab.on('pageerror', (error) => resolve(`error: ${error.stack}`));
      });
      await tab.goto(`${address}/${page}`);
      return await line;
    });
  } finally {
    await browser.close();
  }
}
