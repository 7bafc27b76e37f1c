/** Findings as a page with charts, in one file. */
import * as Plot from '@observablehq/plot';
import { count, seconds } from '../examples/output/numbers.js';
import { drawn, escaped, page } from '../examples/output/page.js';
import type { Findings } from './findings.js';
import { EXPLANATIONS, leftOut } from './report.js';
import { type AnyRow, type Section, sectionsOf, who } from './sections.js';

const COLOURS: Readonly<Record<string, string>> = {
  'lsh best': '#2f6fb0',
  'lsh plain': '#7fb3d8',
  'dense best': '#d9534f',
  'dense plain': '#eba3a1',
  tfjs: '#8a6d3b',
  composed: '#c9a227',
  'tfjs-node': '#5b8c5a',
  'tfjs-node-composed': '#a3c9a2',
  'onnxruntime-webgpu': '#6a5acd',
  'onnxruntime-cpu': '#b3a8ee',
  torch: '#e07b39',
  'reformer-pytorch': '#1d8a8a',
};

export function benchPage(findings: Findings): string {
  const { adapter, date, ceilings, peers } = findings;
  const left = leftOut(findings);
  const listed = (texts: readonly string[]) =>
    `<ul class="notes">${texts.map((text) => `<li>${escaped(text)}</li>`).join('\n')}</ul>`;
  return page(
    'The bench',
    `<p>Measured on <b>${escaped(adapter)}</b>, ${date}; its ceilings are ${ceilings.gflops.toFixed(1)} GFLOP/s and
${ceilings.gbps.toFixed(2)} GB/s.</p>
${listed(peers.map(({ name, version, absent }) => `${name} ${version ?? `is absent: ${absent}`}`))}
<div class="charts">${chartsOf(findings).join('\n')}</div>
${sectionsOf(findings).map(tableOf).join('\n')}
${left.length > 0 ? `<h2>Left out</h2>${listed(left)}` : ''}
${listed(EXPLANATIONS)}`,
  );
}

function tableOf({ title, columns, rows, lines }: Section): string {
  const head = columns.map((name) => `<th>${escaped(name)}</th>`).join('');
  const body = rows.map(
    ([first = '', ...cells]) =>
      `<tr><th>${escaped(first)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`,
  );
  return `<h2>${escaped(title)}</h2>
<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>
${lines.map((text) => `<p>${escaped(text)}</p>`).join('\n')}`;
}

function chartsOf(findings: Findings): string[] {
  const all: AnyRow[] = [...findings.rows, ...findings.others];
  const charts: string[] = [];
  for (const suite of ['attention', 'training', 'peers'] as const) {
    for (const causal of [false, true]) {
      const rows = all.filter((row) => row.suite === suite && row.params.causal === causal);
      const points = rows.map((row) => ({ x: row.params.L, y: row.ms.median, who: who(row) }));
      if (points.length > 1) {
        const title = `${suite}, ${causal ? 'causal' : 'not causal'}`;
        charts.push(
          figure(
            title,
            'time of a call against length, both logarithmic',
            lines(points, 'length', inSeconds),
          ),
        );
      }
    }
  }
  const scaling = findings.rows.filter(({ suite }) => suite === 'scaling');
  const perToken = scaling.map((row) => ({
    x: row.params.L,
    y: row.ms.median / row.params.L,
    who: who(row),
  }));
  if (perToken.length > 1) {
    charts.push(
      figure(
        'scaling',
        'time of a token against length; a level line is linear growth',
        lines(perToken, 'length', inSeconds),
      ),
    );
  }
  const inMemory = all.filter((row) => row.suite === 'memory' && row.name === 'lsh');
  const most = Math.max(0, ...inMemory.map(({ params }) => params.L));
  const memory = inMemory.filter(({ params }) => params.L === most);
  const peaks = memory.map((row) => ({
    x: row.params.R,
    y: (row.bytesPeak ?? 0) / (row.bytesInOut ?? 1),
    who: who(row),
  }));
  if (peaks.length > 1) {
    charts.push(
      figure(
        'memory',
        `peak GPU bytes over those of inputs and output, against rounds, at L=${count(most)}`,
        lines(peaks, 'rounds', String, { type: 'linear', zero: true }),
      ),
    );
  }
  const kernels = findings.rows.filter(({ suite }) => suite === 'kernels');
  const longest = Math.max(0, ...kernels.map(({ params }) => params.L));
  const shares = kernels.filter(({ params }) => params.L === longest);
  if (shares.length > 0) {
    charts.push(
      figure(
        'kernels',
        `time of a call by kernel at L=${count(longest)}`,
        bars(
          shares.map(({ name, variant, of, call, ms }) => ({
            group: `${call} ${of} ${variant}`,
            name,
            ms: ms.median,
          })),
        ),
      ),
    );
  }
  return charts;
}

const inSeconds = (ms: number) => seconds(ms / 1000);

interface Point {
  readonly x: number;
  readonly y: number;
  readonly who: string;
}

function figure(title: string, what: string, chart: string): string {
  return `<figure><figcaption>${escaped(title)} <small>${escaped(what)}</small></figcaption>${chart}</figure>`;
}

function lines(
  points: readonly Point[],
  label: string,
  tickFormat: (y: number) => string,
  y: Plot.ScaleOptions = { type: 'log' },
): string {
  const names = [...new Set(points.map((point) => point.who))];
  return drawn({
    width: 520,
    height: 380,
    marginLeft: 64,
    marginRight: 140,
    marginBottom: 48,
    x: {
      ...{ type: 'log', base: 2, ticks: [...new Set(points.map(({ x }) => x))], tickFormat: count },
      ...{ label, labelOffset: 42 },
    },
    y: { tickFormat, label: null, grid: true, ...y },
    color: { domain: names, range: names.map((name) => COLOURS[name] ?? '#646c75') },
    marks: [
      Plot.line(points, { x: 'x', y: 'y', z: 'who', stroke: 'who', strokeWidth: 2 }),
      Plot.dot(points, { x: 'x', y: 'y', fill: 'who', r: 3 }),
      Plot.text(labels(points, y.type === 'log'), {
        ...{ x: 'x', y: 'y', text: 'who', fill: 'who', textAnchor: 'start', dx: 8 },
      }),
    ],
  });
}

/** Share of the height that a line's name takes. */
const NAME_HEIGHT = 0.045;

/** The names of lines at the right edge, beside their ends, and moved apart where they would overlap. */
function labels(points: readonly Point[], logarithmic: boolean): Point[] {
  const [to, from] = logarithmic ? [Math.log, Math.exp] : [Number, Number];
  const heights = points.map(({ y }) => to(y));
  const gap = NAME_HEIGHT * (Math.max(...heights) - Math.min(...heights));
  const right = Math.max(...points.map(({ x }) => x));
  const ends = [...new Set(points.map((point) => point.who))].map((who) => {
    const own = points.filter((point) => point.who === who);
    return own.reduce((last, point) => (point.x > last.x ? point : last));
  });
  let below = Number.NEGATIVE_INFINITY;
  return ends
    .sort((a, b) => a.y - b.y)
    .map(({ y, who }) => {
      below = Math.max(to(y), below + gap);
      return { x: right, y: from(below), who };
    });
}

function bars(
  parts: readonly { readonly group: string; readonly name: string; readonly ms: number }[],
): string {
  return drawn({
    width: 520,
    height: 60 + 34 * new Set(parts.map(({ group }) => group)).size,
    marginLeft: 140,
    x: { label: 'ms', grid: true },
    y: { label: null },
    color: { legend: false, scheme: 'tableau10' },
    marks: [
      Plot.barX(parts, { x: 'ms', y: 'group', fill: 'name', title: 'name' }),
      Plot.text(
        parts,
        Plot.stackX({
          x: 'ms',
          y: 'group',
          text: (part: { name: string; ms: number }) =>
            part.ms > 0.12 * Math.max(...parts.map(({ ms }) => ms))
              ? (part.name.split('/').at(-1) ?? '')
              : '',
          fill: 'white',
        }),
      ),
    ],
  });
}
