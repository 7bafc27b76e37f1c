/** A site and a browser for the tests of a file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { openSite, type Site } from './site.js';
import { openBrowser } from './visitor.js';

export interface Host {
  readonly url: string;
  readonly served: readonly string[];
  /** Where the files are. */
  readonly folder: string;
  /** With WebGPU. */
  readonly browser: Browser;
}

/** What it returns is to be used inside of tests. */
export function host(): Host {
  const folder = mkdtempSync(join(tmpdir(), 'lsh-demo-'));
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([openSite(folder), openBrowser({ webgpu: true })]);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    site?.close();
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    get url() {
      return site.url;
    },
    get served() {
      return site.served;
    },
    get browser() {
      return browser;
    },
  };
}
