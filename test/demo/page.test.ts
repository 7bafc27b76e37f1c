/** The demo page as a whole: its size, its manners, and what it does without a GPU. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { VIEWS } from '../../examples/demo/page/messages.js';
import { OPTIONS, seesWhatNodeSees } from './expected.js';
import { host } from './host.js';
import { openBrowser, PATIENCE, press, visit } from './visitor.js';

/** Of the first view, gzipped, beside tfjs. */
const MOST_BYTES = 400_000;

const site = host();

test('is small beside tfjs when its first view answers', { timeout: 2 * PATIENCE }, async () => {
  const before = site.served.length;
  const { page } = await visit(site.browser, site.url);
  await page.locator('#see-share').filter({ hasText: '%' }).waitFor();
  const files = [...new Set(site.served.slice(before))];
  const ours = files.filter((name) => !basename(name).startsWith('tfjs-'));
  const bytes = ours
    .map((name) => gzipSync(readFileSync(join(site.folder, name))).length)
    .reduce((a, b) => a + b);
  console.log(`the first view: ${ours.length} files, ${Math.round(bytes / 1000)} kB gzipped beside tfjs`);
  expect(files.length, 'tfjs is there too').toBeGreaterThan(ours.length);
  expect(bytes).toBeLessThan(MOST_BYTES);
  await page.close();
});

test.each(VIEWS)(
  'has nothing in %s that axe complains about, and fits a phone',
  { timeout: 3 * PATIENCE },
  async (view) => {
    const { page } = await visit(site.browser, `${site.url}#${view}`);
    await page.getByText('by WGSL kernels').waitFor();
    if (view === 'see') {
      await page.locator('#see-share').filter({ hasText: '%' }).waitFor();
    }
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
  const { page } = await visit(site.browser, site.url);
  await page.locator('#see-share').filter({ hasText: '%' }).waitFor();
  const session = await site.browser.newBrowserCDPSession();
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
      await page.locator('#view-train').getByText('On JavaScript, by tf ops').waitFor();
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
