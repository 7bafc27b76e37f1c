/** The loss and the accuracy of a run, drawn. */
import * as Plot from '@observablehq/plot';
import { count } from '../output/numbers.js';
import { escaped, page } from '../output/page.js';
import { chart, curve, DARK, GREY } from '../training/charts.js';
import { named } from './run.js';
import type { History, Recipe } from './trainer.js';

export function trainingPage(adapter: string, recipe: Recipe, { losses, accuracies }: History): string {
  const { length, vocabulary, width, heads, hidden, chunkLength, attention, batch } = recipe;
  const loss = chart('loss', [
    ...curve(losses),
    // What guessing costs.
    Plot.ruleY([Math.log(vocabulary - 1)], { stroke: GREY, strokeDasharray: '4 4' }),
  ]);
  const accuracy = chart(
    'accuracy',
    [
      Plot.line(accuracies, { x: 'step', y: 'value', stroke: DARK, strokeWidth: 2 }),
      Plot.ruleY([1 / (vocabulary - 1)], { stroke: GREY, strokeDasharray: '4 4' }),
    ],
    { domain: [0, 1], tickFormat: (share: number) => `${Math.round(100 * share)} %` },
  );
  return page(
    'Saying it again',
    `<p>A language model of one layer reads 0 w 0 and is to say w again, where w is ${length / 2 - 1} symbols, drawn at
random from ${vocabulary - 1}. Its attention is <b>${named(attention)}</b>${attention === 'dense' ? '' : `, in chunks of ${chunkLength}`}; ${count(losses.length)} steps of ${batch} sequences,
width ${width}, ${heads} ${heads === 1 ? 'head' : 'heads'}, feed-forward ${hidden}, on <b>${escaped(adapter)}</b>, ${new Date().toISOString().slice(0, 10)}.</p>
<div class="charts">
<figure><figcaption>Loss <small>on the second w: every step, and the mean of neighbouring steps</small></figcaption>${loss}</figure>
<figure><figcaption>Accuracy <small>on the second w, of sequences that are not trained on</small></figcaption>${accuracy}</figure>
</div>
<ul class="notes"><li>Dashed: guessing, when every symbol is as likely as every other.</li></ul>`,
  );
}
