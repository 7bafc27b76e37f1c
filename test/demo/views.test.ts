/** Every view of the demo page driven in a real browser, and its numbers held against the package's in Node. */
import '@tensorflow/tfjs-backend-cpu';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { Library } from '../../examples/demo/find/library.js';
import { chooseSentences } from '../../examples/demo/find/sentences.js';
import { expectedOf, OPTIONS, ROUNDED, seesWhatNodeSees } from './expected.js';
import { host } from './host.js';
import { PATIENCE, press, shownNumber, visit } from './visitor.js';

/** How long the page may take to hear of a click, in milliseconds. */
const MOST_DELAY = 100;

const site = host();

describe('See', () => {
  test('shows what the op computes in Node, and follows its sliders', { timeout: 3 * PATIENCE }, async () => {
    const { page, complaints } = await visit(site.browser, site.url);
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

    const colours = await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    expect(colours, 'colours of the picture of pairs').toBeGreaterThan(20);

    await tokens.nth(3).hover();
    expect(await page.locator('.detail .chosen b').innerText()).toBe(await tokens.nth(3).innerText());
    await tokens.nth(3).focus();
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('.detail .chosen b').innerText()).toBe(await tokens.nth(4).innerText());
    expect(await tokens.nth(4).getAttribute('aria-selected')).toBe('true');

    await press(page, 'Rounds', 'ArrowRight');
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5 });
    await page.getByRole('radio', { name: 'its bucket' }).check();
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
    const { page, complaints } = await visit(site.browser, `${site.url}#race`);
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
    const { page, complaints } = await visit(site.browser, `${site.url}#race`);
    await press(page, 'Up to a length of', 'End');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText(/ at (512|1,024) …/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor({ timeout: 1000 });
    expect(await marks(page, 'Time of a call').count()).toBeGreaterThanOrEqual(3);
    await page.getByText('by WGSL kernels').waitFor();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText(/ at 256 …/).waitFor();
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe('Train', () => {
  test('learns while the page answers, pauses, resumes, and changes rounds', {
    timeout: 4 * PATIENCE,
  }, async () => {
    const { page, complaints } = await visit(site.browser, `${site.url}#train`);
    await page.evaluate(() => {
      const delays: number[] = [];
      Object.assign(window, { delays });
      addEventListener('pointerdown', ({ timeStamp }) => delays.push(performance.now() - timeStamp), true);
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
        .getByLabel(rounds, { exact: true })
        .check();
      await page.waitForTimeout(100);
    }
    await reached(10);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused.').waitFor();
    const paused = await shownNumber(page, '#train-step');
    await page.waitForTimeout(500);
    expect(await shownNumber(page, '#train-step')).toBe(paused);
    await page.getByRole('button', { name: 'Resume' }).click();
    await reached(paused + 1);
    await page.getByRole('button', { name: 'Pause' }).click();

    const delays = await page.evaluate(() => (window as unknown as { delays: number[] }).delays);
    expect(delays.length).toBeGreaterThanOrEqual(7);
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
    const { page, complaints } = await visit(site.browser, `${site.url}#find`);
    await page.getByText(/Hashing found \d+ of these 10/).waitFor();
    const library = await Library.open(chooseSentences());
    const { recall, compared } = await library.measured({ way: 'tables', effort: 6 });
    for (const [selector, share] of [
      ['#find-recall', recall],
      ['#find-compared', compared],
    ] as const) {
      expect(Math.abs((await shownNumber(page, selector)) - 100 * share), selector).toBeLessThan(ROUNDED);
    }
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
