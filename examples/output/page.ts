/** A page of charts and tables, in one file. */
import * as Plot from '@observablehq/plot';
import { Window } from 'happy-dom';

export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
<main>
<h1>${escaped(title)}</h1>
${body}
</main>
</html>
`;
}

/** A chart as SVG. */
export function drawn(options: Plot.PlotOptions): string {
  const document = new Window().document as unknown as Document;
  const style = { background: 'none', fontSize: '12px' };
  return Plot.plot({ document, style, ...options }).outerHTML;
}

export function escaped(text: string): string {
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
