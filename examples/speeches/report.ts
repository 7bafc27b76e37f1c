/** report.html: the ladder as two charts and a table, in one file. */

import * as Plot from '@observablehq/plot';
import { Window } from 'happy-dom';
import { type Corpus, quote, speechAt } from './corpus.js';
import { D } from './memory.js';
import type { Quotation } from './quotations.js';
import { METHODS, type Method, type Result, type Step } from './result.js';
import { atLeast, bytes, COLUMNS, cells, count, exactCells, hasDense, seconds } from './text.js';

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
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Attention as a memory</title>
<style>${STYLE}</style>
<main>
<h1>Attention as a memory</h1>
<p>${count(corpus.words.length)} words of ${corpus.speeches.length} State of the Union speeches, and the next word
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
</main>
</html>
`;
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
  const document = new Window().document as unknown as Document;
  const svg = Plot.plot({
    document,
    width: 520,
    height: 360,
    marginLeft: 64,
    marginRight: 16,
    marginBottom: 48,
    style: { background: 'none', fontSize: '12px' },
    x: { type: 'log', base: 2, ticks: lengths, tickFormat: count, label: 'words of memory', labelOffset: 42 },
    y: { type: 'log', base, domain: [base ** low, base ** high], ticks, tickFormat, label: null, grid: true },
    color: { domain: [...METHODS], range: METHODS.map((method) => COLOURS[method]) },
    marks: [
      Plot.line(points, { x: 'x', y: 'y', z: 'method', stroke: 'method', strokeWidth: 2 }),
      Plot.dot(points, { x: 'x', y: 'y', fill: 'method', r: 3.5 }),
    ],
  });
  return svg.outerHTML;
}

function named(method: Method): string {
  return method === 'dense' ? 'dense' : `${method} ${method === 'LSH 1' ? 'round' : 'rounds'}`;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2126; --soft: #646c75; --line: #d9dde2; --paper: #fcfcfa; --mark: #fff0b8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #98a1ab; --line: #363c44; --paper: #16191d; --mark: #5a4a12; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
main > p { max-width: 46rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.legend i { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .4em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; margin-bottom: .5rem; }
small { color: var(--soft); font-weight: 400; }
svg { width: 100%; height: auto; overflow: visible; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { text-align: right; padding: .2rem .75rem; vertical-align: top; font-weight: 400; }
th:nth-child(2), tr > td:first-child, tr > th + td { text-align: left; }
thead th { color: var(--soft); }
tbody th { font-weight: 600; }
tbody tr:first-child > * { border-top: 1px solid var(--line); }
.notes { color: var(--soft); font-size: .875rem; padding-left: 1.1rem; }
blockquote { margin: 0 0 1.25rem; padding-left: 1rem; border-left: 3px solid var(--line); }
blockquote p { margin: 0 0 .5rem; }
cite { display: block; color: var(--soft); font-size: .875rem; font-style: normal; }
mark { background: var(--mark); color: inherit; padding: 0 .2em; border-radius: .2em; }
`;
