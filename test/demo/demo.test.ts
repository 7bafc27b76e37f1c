/** The demo page in a real browser: every view driven, and its numbers held against the package's in Node. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type { Browser, Page } from 'playwright-core';
import { denseAttentionWithLse, lshAttentionWithLse, lshBuckets } from 'tfjs-lsh-attention';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { D, memoryOf } from '../../examples/speeches/memory.js';
import { MOST_TOKENS, SCALE, type SeeOptions } from '../../examples/demo/see/question.js';
import { TEXTS } from '../../examples/demo/see/texts.js';
import { tokensOf } from '../../examples/demo/see/words.js';
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
  ...{ numHashes: 4, numBuckets: 16, chunkLength: 16, causal: false, window: 'chunk' },
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
    (percent) => Math.abs(Number.parseFloat(document.querySelector('#see-share')?.textContent ?? '') - percent) < 0.06,
    100 * share,
  );
  const pairs = lsh.filter((weight) => weight > 0).length / dense.filter((weight) => weight > 0).length;
  expect(await shownNumber(page, '#see-pairs')).toBeCloseTo(100 * pairs, 0);
  const token = Number(await page.locator('.tokens [aria-selected="true"]').first().getAttribute('data-token'));
  const row = [...dense.slice(token * L, (token + 1) * L)].sort((a, b) => b - a);
  const bars = await page.locator('.bar.dense').allInnerTexts();
  expect(bars.map(Number.parseFloat)).toHaveLength(8);
  bars.forEach((text, i) => expect(Number.parseFloat(text)).toBeCloseTo(100 * (row[i] as number), 0));
}

describe('See', () => {
  test('shows what the op computes in Node, and follows its sliders', { timeout: 3 * PATIENCE }, async () => {
    const { page, complaints } = await visit(browser, site.url);
    await page.getByText('by WGSL kernels').waitFor();
    await seesWhatNodeSees(page, OPTIONS);
    const { buckets, L } = await expectedOf(OPTIONS);
    const tokens = page.getByRole('listbox', { name: 'The text as written' }).getByRole('option');
    expect(await tokens.count()).toBe(L);
    const hues = await tokens.evaluateAll((all) => all.map((one) => (one as HTMLElement).style.getPropertyValue('--hue')));
    expect(hues.map(Number)).toEqual([...buckets.slice(0, L)].map((bucket) => Math.round((360 * bucket) / 16)));
    expect(await page.getByRole('group', { name: /^Chunk/ }).count()).toBe(Math.ceil(L / 16));

    await press(page, 'Rounds', 'ArrowRight');
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5 });
    await page.getByText('its bucket').click();
    await page.getByLabel('Causal').check();
    await seesWhatNodeSees(page, { ...OPTIONS, numHashes: 5, window: 'bucket', causal: true });
    expect(complaints).toEqual([]);
  });
});
