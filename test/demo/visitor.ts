/** A visitor of the demo page, who notices whatever the page complains about. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM_FLAGS } from '../browser/flags.js';

/** How long a view may take on a slow adapter, in milliseconds. */
export const PATIENCE = 60_000;

/** @param webgpu without it, Chromium is as it comes, and has no GPU to offer. */
export function openBrowser({ webgpu }: { readonly webgpu: boolean }): Promise<Browser> {
  const args = webgpu ? [...CHROMIUM_FLAGS] : ['--no-sandbox', '--disable-features=WebGPU'];
  return chromium.launch({ executablePath: process.env.LSH_CHROMIUM as string, args });
}

export interface Visit {
  readonly page: Page;
  /** Errors and warnings of the console, and errors that nobody caught. */
  readonly complaints: string[];
}

export async function visit(browser: Browser, address: string): Promise<Visit> {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(address);
  return { page, complaints };
}

/** The number that an element shows, such as 62.5 of “62.5 %”. */
export async function shownNumber(page: Page, selector: string): Promise<number> {
  await page.waitForFunction((css) => /\d/.test(document.querySelector(css)?.textContent ?? ''), selector);
  return Number.parseFloat((await page.locator(selector).innerText()).replace(/,/g, ''));
}

/** Moves a slider by keys, and waits for the page to have asked. */
export async function press(page: Page, label: string, key: string): Promise<void> {
  await page.getByLabel(label, { exact: true }).focus();
  await page.keyboard.press(key);
}
