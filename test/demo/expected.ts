/** What the view See must show: the package's own numbers, in Node. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type { Page } from 'playwright-core';
import { denseAttentionWithLse, lshAttentionWithLse, lshBuckets } from 'tfjs-lsh-attention';
import { expect } from 'vitest';
import { MOST_TOKENS, SCALE, type SeeOptions } from '../../examples/demo/see/question.js';
import { TEXTS } from '../../examples/demo/see/texts.js';
import { tokensOf } from '../../examples/demo/see/words.js';
import { D, memoryOf } from '../../examples/speeches/memory.js';
import { shownNumber } from './visitor.js';

/** The page shows percents with one digit after the point, of float32 numbers. */
export const ROUNDED = 0.06;

/** How the page begins. */
export const OPTIONS: SeeOptions = {
  ...{ numHashes: 4, numBuckets: 32, chunkLength: 8, causal: false, window: 'chunk' },
};

/** What the package says in Node about the page's first text. */
export async function expectedOf(options: SeeOptions) {
  await tf.setBackend('cpu');
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

/** Waits until the page shows Node's share, and compares the other numbers. */
export async function seesWhatNodeSees(page: Page, options: SeeOptions): Promise<void> {
  const { share, L, dense, lsh } = await expectedOf(options);
  await page.waitForFunction(
    ([percent, rounded]) =>
      Math.abs(Number.parseFloat(document.querySelector('#see-share')?.textContent ?? '') - percent) <
      rounded,
    [100 * share, ROUNDED] as const,
  );
  const pairs = lsh.filter((weight) => weight > 0).length / dense.filter((weight) => weight > 0).length;
  expect(Math.abs((await shownNumber(page, '#see-pairs')) - 100 * pairs)).toBeLessThan(ROUNDED);
  const token = Number(
    await page.locator('.tokens [aria-selected="true"]').first().getAttribute('data-token'),
  );
  const row = [...dense.slice(token * L, (token + 1) * L)].filter((one) => one > 0).sort((a, b) => b - a);
  const bars = await page.locator('.bar.dense').allInnerTexts();
  expect(bars.map(Number.parseFloat)).toHaveLength(Math.min(8, row.length));
  for (const [i, text] of bars.entries()) {
    expect(Math.abs(Number.parseFloat(text) - 100 * (row[i] as number)), `key ${i}`).toBeLessThan(ROUNDED);
  }
}
