/** The demo page in a real browser: every view driven, and its numbers held against the package's in Node. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type { Browser, Page } from 'playwright-core';
import { denseAttentionWithLse, lshAttentionWithLse, lshBuckets } from 'tfjs-lsh-attention';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Library } from '../../examples/demo/find/library.js';
import { chooseSentences } from '../../examples/demo/find/sentences.js';
import { VIEWS } from '../../examples/demo/page/messages.js';
import { MOST_TOKENS, SCALE, type SeeOptions } from '../../examples/demo/see/question.js';
import { TEXTS } from '../../examples/demo/see/texts.js';
import { tokensOf } from '../../examples/demo/see/words.js';
import { D, memoryOf } from '../../examples/speeches/memory.js';
import { openSite, type Site } from './site.js';
import { openBrowser, PATIENCE, press, shownNumber, visit } from './visitor.js';

/** Of the first view, gzipped, beside tfjs. */
const MOST_BYTES = 400_000;
/** How long the page may take to hear of a click, in milliseconds. */
const MOST_DELAY = 100;

const folder = mkdtempSync(join(tmpdir(), 'lsh-demo-'));
let site: Site;
let browser: Browser;
beforeAll(async () => {
  await tf.setBackend('cpu');
  [site, browser] = await Promise.all([openSite(folder), openBrowser({ webgpu: true })]);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  site?.close();
  rmSync(folder, { recursive: true });
});

const OPTIONS: SeeOptions = {
  ...{ numHashes: 4, numBuckets: 32, chunkLength: 8, causal: false, window: 'chunk' },
};

/** What the package says in Node about the page's first text. */
async function expectedOf(options: SeeOptions) {
  const { words } = tokensOf(TEXTS[0]?.text as string, MOST_TOKENS);
  const L = words.length;
  const tensors = tf.tidy(() => {
    const qk = tf.tensor2d(memoryOf(Uint32Array.from(words), L, L).qk, [L, D]);
    const lsh = lshAttentionWithLse(qk, tf.eye(L), { ...options, scale: SCALE });
    const dense = denseAttentionWithLse(qk, tf.eye(L), { causal: options.causal, scale: SCALE });
    const share = tf.mean(tf.exp(tf.sub(lsh.lse, dense.lse)));
    return [share, lsh.out, dense.out, tf.cast(lshBuckets(qk, options), 'float32')];
  });
  const [share, lsh, dense, buckets] = await Promise.all(tensors.map((tensor) => tensor.data()));
  tf.dispose(tensors);
  return { L, share: share?.[0] as number, lsh, dense, buckets } as {
    readonly L: number;
    readonly share: number;
  } & Record<'lsh' | 'dense' | 'buckets', Float32Array>;
}

async function seesWhatNodeSees(page: Page, options: SeeOptions): Promise<void> {
  const { share, L, dense, lsh } = await expectedOf(options);
  await page.waitForFunction(
    (percent) =>
      Math.abs(Number.parseFloat(document.querySelector('#see-share')?.textContent ?? '') - percent) < 0.06,
    100 * share,
  );
  const pairs = lsh.filter((weight) => weight > 0).length / dense.filter((weight) => weight > 0).length;
  expect(await shownNumber(page, '#see-pairs')).toBeCloseTo(100 * pairs, 0);
  const token = Number(
    await page.locator('.tokens [aria-selected="true"]').first().getAttribute('data-token'),
  );
  const row = [...dense.slice(token * L, (token + 1) * L)].sort((a, b) => b - a);
  const bars = await page.locator('.bar.dense').allInnerTexts();
  expect(bars.map(Number.parseFloat)).toHaveLength(8);
  for (const [i, text] of bars.entries()) {
    expect(Number.parseFloat(text)).toBeCloseTo(100 * (row[i] as number), 0);
  }
}

describe('See', () => {
  test('shows what the op computes in Node, and follows its sliders', { timeout: 3 * PATIENCE }, async () => {
    const { page, complaints } = await visit(browser, site.url);
    await page.getByText('by WGSL kernels').waitFor();
    await seesWhatNodeSees(page, OPTIONS);
    const { buckets, L } = await expectedOf(OPTIONS);
    const tokens = page.getByRole('listbox', { name: 'The text as written' }).getByRole('option');
    expect(await tokens.count()).toBe(L);
    const hues = await tokens.evaluateAll((all) =>
      all.map((one) => (one as HTMLElement).style.getPropertyValue('--hue')),
    );
    expect(hues.map(Number)).toEqual(
      [...buckets.slice(0, L)].map((bucket) => Math.round((360 * bucket) / 32)),
    );
    expect(await page.getByRole('group', { name: /^Chunk/ }).count()).toBe(Math.ceil(L / 8));

    await press(page, 'Rounds', 'ArrowRight');
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5 });
    await page.getByText('its bucket').click();
    await page.getByLabel('Causal').check();
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5, window: 'bucket', causal: true });
    expect(complaints).toEqual([]);
  });
});

/** Marks of a chart. */
const marks = (page: Page, caption: string) =>
  page.locator('figure', { hasText: caption }).locator('svg circle');

describe('Race', () => {
  test('climbs its ladder, draws, and copies what it found', { timeout: 3 * PATIENCE }, async () => {
    const { page, complaints } = await visit(browser, `${site.url}#race`);
    await page.getByText('by WGSL kernels').waitFor();
    await press(page, 'Up to a length of', 'Home');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText('Done.').waitFor();
    for (const caption of ['Time of a call', 'Most memory']) {
      expect(await marks(page, caption).count(), caption).toBe(6);
    }
    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    await page.getByText('Copied.').waitFor();
    const { device, laps } = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
    expect(device.backend).toBe('webgpu');
    expect(laps.map(({ length }: { length: number }) => length)).toEqual([256, 256, 256, 512, 512, 512]);
    const [, dense, ops] = laps.slice(3).map(({ bytes }: { bytes: number }) => bytes);
    expect(ops, 'a matrix of 512 × 512 and the output').toBeGreaterThanOrEqual(4 * 512 * (512 + 64));
    expect(dense).toBeLessThan(ops);
    await page.getByRole('button', { name: 'Copy as Markdown' }).click();
    await page.waitForFunction(
      async () =>
        (await navigator.clipboard.readText()).startsWith('|') ||
        (await navigator.clipboard.readText()).includes('| 512 |'),
    );
    expect(complaints).toEqual([]);
  });

  test('stops in the middle, keeps what it has, and starts again', { timeout: 3 * PATIENCE }, async () => {
    const { page, complaints } = await visit(browser, `${site.url}#race`);
    await press(page, 'Up to a length of', 'End');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText(/ at (512|1,024) …/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor({ timeout: 1000 });
    expect(await marks(page, 'Time of a call').count()).toBeGreaterThanOrEqual(3);
    await page.getByText('by WGSL kernels').waitFor();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText(/ at 512 …/).waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe('Train', () => {
  test('learns while the page answers, pauses, resumes, and changes rounds', {
    timeout: 4 * PATIENCE,
  }, async () => {
    const { page, complaints } = await visit(browser, `${site.url}#train`);
    await page.evaluate(() => {
      const delays: number[] = [];
      Object.assign(window, { delays });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as PerformanceEventTiming[]) {
          delays.push(entry.processingStart - entry.startTime);
        }
      }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
    });
    await page.getByRole('button', { name: 'Train' }).click();
    const reached = (step: number) =>
      page.waitForFunction(
        (least) => Number.parseInt(document.querySelector('#train-step')?.textContent ?? '0', 10) >= least,
        step,
      );
    const lossNow = async () =>
      Number(/: ([\d.]+)\./.exec((await lossChart.getAttribute('aria-label')) as string)?.[1]);
    const lossChart = page.getByRole('img', { name: /^The loss after [1-9]/ });
    await reached(1);
    const first = await lossNow();
    for (const rounds of ['1', '4', '8', '4']) {
      await page
        .getByRole('group', { name: 'Rounds at evaluation' })
        .getByText(rounds, { exact: true })
        .click();
      await page.waitForTimeout(100);
    }
    await reached(12);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.waitForTimeout(500);
    const paused = await shownNumber(page, '#train-step');
    await page.waitForTimeout(500);
    expect(await shownNumber(page, '#train-step')).toBe(paused);
    await page.getByRole('button', { name: 'Resume' }).click();
    await reached(paused + 2);
    await page.getByRole('button', { name: 'Pause' }).click();

    const delays = await page.evaluate(() => (window as unknown as { delays: number[] }).delays);
    expect(delays.length).toBeGreaterThan(0);
    expect(Math.max(...delays), 'input delay').toBeLessThan(MOST_DELAY);
    expect(await lossNow()).toBeLessThan(first);
    await page.getByRole('img', { name: /with LSH-4/ }).waitFor();
    expect(await shownNumber(page, '#train-accuracy')).toBeGreaterThan(5);
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe('Find', () => {
  test('finds what the index finds in Node, and more when the dial is turned', {
    timeout: 2 * PATIENCE,
  }, async () => {
    const { page, complaints } = await visit(browser, `${site.url}#find`);
    await page.getByText(/Hashing found \d+ of these 10/).waitFor();
    const library = await Library.open(chooseSentences());
    const { recall, compared } = await library.measured({ way: 'tables', effort: 6 });
    expect(await shownNumber(page, '#find-recall')).toBeCloseTo(100 * recall, 0);
    expect(await shownNumber(page, '#find-compared')).toBeCloseTo(100 * compared, 0);
    await press(page, 'Buckets visited of each table', 'End');
    expect(await shownNumber(page, '#find-recall')).toBeGreaterThan(95);
    await page.getByText('Hashing found 10 of these 10').waitFor();
    await page
      .getByLabel('Find sentences like this one')
      .fill('The children of our schools need good teachers.');
    await page
      .getByRole('listitem')
      .filter({ hasText: /school|teacher|education/ })
      .first()
      .waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe('the page', () => {
  test('is small beside tfjs when its first view answers', { timeout: 2 * PATIENCE }, async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const files: { readonly name: string; readonly bytes: number }[] = [];
    context.on('response', async (response) => {
      const name = new URL(response.url()).pathname.split('/').at(-1) as string;
      files.push({ name, bytes: gzipSync(await response.body()).length });
    });
    await page.goto(site.url);
    await page.locator('#see-share').filter({ hasText: '%' }).waitFor();
    const ours = files.filter(({ name }) => !name.startsWith('tfjs-'));
    const sum = ours.reduce((total, { bytes }) => total + bytes, 0);
    console.log(`the first view: ${ours.length} files, ${Math.round(sum / 1000)} kB gzipped beside tfjs`);
    expect(files.some(({ name }) => name.startsWith('tfjs-core'))).toBe(true);
    expect(sum).toBeLessThan(MOST_BYTES);
    await context.close();
  });

  test.each(VIEWS)(
    'has nothing in %s that axe complains about, and fits a phone',
    { timeout: 3 * PATIENCE },
    async (view) => {
      const { page } = await visit(browser, `${site.url}#${view}`);
      await page.getByText('by WGSL kernels').waitFor();
      await page.waitForTimeout(500);
      await page.addScriptTag({ content: readFileSync('node_modules/axe-core/axe.min.js', 'utf8') });
      for (const [colorScheme, width] of [
        ['light', 1280],
        ['dark', 360],
      ] as const) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const found = await page.evaluate(async () => {
          const { violations } = await (window as unknown as { axe: typeof import('axe-core') }).axe.run();
          return violations.map(
            ({ id, nodes }) =>
              `${id}: ${nodes
                .map(({ html }) => html)
                .slice(0, 3)
                .join(' ')}`,
          );
        });
        expect(found, `${colorScheme}, ${width}`).toEqual([]);
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth),
          `width ${width}`,
        ).toBeLessThanOrEqual(width);
      }
      await page.close();
    },
  );

  test('says when the GPU is lost, and starts again', { timeout: 3 * PATIENCE }, async () => {
    const { page } = await visit(browser, site.url);
    await page.locator('#see-share').filter({ hasText: '%' }).waitFor();
    const session = await browser.newBrowserCDPSession();
    await session.send('Browser.crashGpuProcess').catch(() => {});
    await page.getByText('The GPU was lost').waitFor();
    await page.getByRole('button', { name: 'Start again' }).click();
    await page.getByText('by WGSL kernels').waitFor();
    await press(page, 'Rounds', 'ArrowRight');
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5 });
    await page.close();
  });

  test.each(['', '?backend=cpu'])(
    'without WebGPU says so, and computes the same: “%s”',
    { timeout: 3 * PATIENCE },
    async (query) => {
      const plain = await openBrowser({ webgpu: false });
      try {
        const { page, complaints } = await visit(plain, `${site.url}${query}`);
        await page
          .getByText(query === '' ? /No WebGPU: .* On WebAssembly, by tf ops/ : /On JavaScript, by tf ops/)
          .waitFor();
        await seesWhatNodeSees(page, OPTIONS);
        await page.getByRole('link', { name: 'Race' }).click();
        await press(page, 'Up to a length of', 'Home');
        await page.getByRole('button', { name: 'Start' }).click();
        await page.getByText('Done.').waitFor();
        await page.getByRole('link', { name: 'Train' }).click();
        await page.getByRole('button', { name: 'Train' }).click();
        await page
          .locator('#train-step')
          .filter({ hasText: /^[1-9]/ })
          .waitFor();
        await page.getByRole('link', { name: 'Find' }).click();
        await page.getByText(/Hashing found \d+ of these 10/).waitFor();
        expect(complaints).toEqual([]);
      } finally {
        await plain.close();
      }
    },
  );
});
