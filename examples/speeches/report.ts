/** report.html: the ladder as two charts and a table, in one file. */

import * as Plot from '@observablehq/plot';
import { bytes, count, seconds } from '../output/numbers.js';
import { drawn, escaped, page } from '../output/page.js';
import { type Corpus, quote, speechAt } from './corpus.js';
import { D } from './memory.js';
import type { Quotation } from './quotations.js';
import { METHODS, type Method, type Result, type Step } from './result.js';
import { atLeast, COLUMNS, cells, exactCells, hasDense } from './text.js';

export interface Findings {
  /** The adapter. */
  readonly description: string;
  readonly corpus: Corpus;
  readonly steps: readonly Step[];
  readonly quotations: readonly Quotation[];
}

const COLOURS: Record<Method, string> = {
  dense: '#d9534f',
  'LSH 1': '#7fb3d8',
  'LSH 2': '#4a90c4',
  'LSH 4': '#2f6fb0',
  'LSH 8': '#6a5acd',
};

export function reportPage({ description, corpus, steps, quotations }: Findings): string {
  const results = steps.flatMap(({ results }) => results);
  const legend = METHODS.map(
    (method) => `<span><i style="background:${COLOURS[method]}"></i>${named(method)}</span>`,
  );
  const time = chart(
    results,
    (result) => 1000 * result.seconds,
    10,
    (ms) => seconds(ms / 1000),
  );
  const memory = chart(results, ({ peakBytes }) => peakBytes, 4, bytes);
  return page(
    'Attention as a memory',
    `<p>${count(corpus.words.length)} words of ${corpus.speeches.length} State of the Union speeches, and the next word
predicted from earlier places with the same words before them, by dense and by LSH attention: one head, causal,
depth ${D}. Measured on <b>${escaped(description)}</b>, ${new Date().toISOString().slice(0, 10)}.</p>
<p class="legend">${legend.join('\n')}</p>
<div class="charts">
<figure><figcaption>Time of one call <small>against words of memory, both logarithmic</small></figcaption>${time}</figure>
<figure><figcaption>Peak GPU memory <small>against words of memory, both logarithmic</small></figcaption>${memory}</figure>
</div>
<h2>Every length</h2>
<div class="wide"><table><thead><tr><th>words</th>${COLUMNS.map((name) => `<th>${name}</th>`).join('')}</tr></thead>
${steps.map((step) => tableBody(step, results)).join('\n')}</table></div>
<ul class="notes">
<li><b>speed-up</b>: against dense; “~” where dense was not run: against its last time, fourfold a doubling, for two doublings.</li>
<li><b>right</b>: predictions that are the next word, on the same ${count(steps[0]?.truth.length ?? 0)} questions at every length.</li>
<li><b>error</b>: mean distance from exact attention, computed in JavaScript; a value has length 1.</li>
<li><b>mass seen</b>: share of exact attention’s weight that lies on words that were seen.</li>
<li><b>peak GPU</b>: most bytes of GPU buffers in use during a call, inputs and outputs included.</li>
</ul>
${quotations.length > 0 ? `<h2>Found far back</h2>\n${quotations.map((one) => quotationBlock(corpus, one)).join('\n')}` : ''}
`,
  );
}

function tableBody(step: Step, all: readonly Result[]): string {
  const { length, results } = step;
  const dense = all.filter(({ method, length: of }) => method === 'dense' && of <= length).at(-1);
  const rows = [
    ...(hasDense(step) ? [] : [exactCells(step)]),
    ...results.map((result) => cells(result, dense)),
  ].map((row, n, { length: span }) => {
    const first = n === 0 ? `<th rowspan="${span}">${count(length)}</th>` : '';
    return `<tr>${first}${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  return `<tbody>${rows.join('\n')}</tbody>`;
}

function quotationBlock(corpus: Corpus, { asked, found, matching, share }: Quotation): string {
  const now = speechAt(corpus, asked);
  const then = speechAt(corpus, found);
  const passage = (position: number) => {
    const equal = position + 1 - matching;
    return `… ${escaped(quote(corpus, position - 11, equal))} <b>${escaped(quote(corpus, equal, position + 1))}</b> <mark>${escaped(quote(corpus, position + 1, position + 2))}</mark>`;
  };
  return `<blockquote><p>${passage(asked)}<cite>${escaped(now.name)}, ${now.year}</cite></p>
<p>${passage(found)}<cite>${escaped(then.name)}, ${then.year}: ${count(asked - found)} words earlier, ${atLeast(share)} of the attention</cite></p></blockquote>`;
}

/** A line for each method, on logarithmic axes; y has ticks at powers of `base`. */
function chart(
  results: readonly Result[],
  y: (result: Result) => number,
  base: number,
  tickFormat: (value: number) => string,
): string {
  const lengths = [...new Set(results.map(({ length }) => length))];
  const points = results.map((result) => ({ x: result.length, y: y(result), method: result.method }));
  const values = points.map((point) => point.y);
  const low = Math.floor(Math.log(Math.min(...values)) / Math.log(base));
  const high = Math.ceil(Math.log(Math.max(...values)) / Math.log(base));
  const ticks = Array.from({ length: high - low + 1 }, (_, n) => base ** (low + n));
  return drawn({
    width: 520,
    height: 360,
    marginLeft: 64,
    marginRight: 16,
    marginBottom: 48,
    x: { type: 'log', base: 2, ticks: lengths, tickFormat: count, label: 'words of memory', labelOffset: 42 },
    y: { type: 'log', base, domain: [base ** low, base ** high], ticks, tickFormat, label: null, grid: true },
    color: { domain: [...METHODS], range: METHODS.map((method) => COLOURS[method]) },
    marks: [
      Plot.line(points, { x: 'x', y: 'y', z: 'method', stroke: 'method', strokeWidth: 2 }),
      Plot.dot(points, { x: 'x', y: 'y', fill: 'method', r: 3.5 }),
    ],
  });
}

function named(method: Method): string {
  return method === 'dense' ? 'dense' : `${method} ${method === 'LSH 1' ? 'round' : 'rounds'}`;
}
