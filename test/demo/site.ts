/** The demo page as its visitors get it: built, on a host that knows nothing but files, below some folder. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { build } from 'vite';

const CONFIG = 'examples/demo/vite.config.ts';
const FOLDER = '/some/where/';
const TYPES: Record<string, string> = {
  ...{ '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' },
};

export interface Site {
  readonly url: string;
  /** Names of the files that were asked for, in order. */
  readonly served: readonly string[];
  close(): void;
}

/** Builds the page into a folder, and serves it. */
export async function openSite(outDir: string): Promise<Site> {
  await build({ configFile: CONFIG, logLevel: 'warn', build: { outDir } });
  const served: string[] = [];
  const server = createServer(({ url = '/' }, response) => {
    const path = new URL(url, 'http://host').pathname;
    const file = path === FOLDER ? 'index.html' : normalize(path.slice(FOLDER.length));
    try {
      const bytes = readFileSync(join(outDir, file));
      response.writeHead(path.startsWith(FOLDER) ? 200 : 404, { 'content-type': TYPES[extname(file)] ?? '' });
      response.end(bytes);
      served.push(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}${FOLDER}`, served, close: () => server.close() };
}
