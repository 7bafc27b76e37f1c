/** Findings as tables, for every kind of report. Pure. */
import { bytes, count, significant } from '../examples/output/numbers.js';
import { caseOf, type Findings, type OtherRow, type Row } from './findings.js';
import { RIVALS, type Suite } from './options.js';
import type { Spread } from './statistics.js';

export interface Section {
  readonly suite: Suite;
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Lines below the table. */
  readonly lines: readonly string[];
}

export type AnyRow = Row | OtherRow;

/** A row's name with its device. */
export function who(row: AnyRow): string {
  return 'variant' in row ? `${row.name} ${row.variant}` : row.name;
}

/** All sections, in the order of the suites. */
export function sectionsOf(findings: Findings): Section[] {
  return [
    ...callSections(findings),
    ...kernelSections(findings),
    ...(['attention', 'training', 'peers'] as const).flatMap((suite) => timeSections(findings, suite)),
    ...memorySections(findings),
    ...scalingSections(findings),
    ...windowsSections(findings),
    ...composedSections(findings),
  ];
}

export function milliseconds(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : significant(ms);
}

function times({ median, min, max, n }: Spread): string {
  return n === 1
    ? `${milliseconds(median)} (once)`
    : `${milliseconds(median)} (${milliseconds(min)}–${milliseconds(max)}, ${n})`;
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const error = (value?: number) => (value === undefined ? '' : value.toExponential(1));

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

function sizes({ params: { H, D, R, C, causal } }: AnyRow, rounds = true): string {
  const letters = [`H=${H}`, `D=${D}`, ...(rounds ? [`R=${R}`] : []), `C=${C}`];
  return `${letters.join(' ')}, ${causal ? 'causal' : 'not causal'}`;
}

function timeSections({ rows, others }: Findings, suite: 'attention' | 'training' | 'peers'): Section[] {
  const ours = rows.filter((row) => row.suite === suite);
  const all: AnyRow[] = [...ours, ...others.filter((row) => row.suite === suite)];
  return distinct(all.map((row) => sizes(row))).map((title) => {
    const own = all.filter((row) => sizes(row) === title);
    const rivals = [...RIVALS, 'dense'].filter((name) =>
      own.some((row) => 'against' in row && name in row.against),
    );
    const sorted = [...own].sort((a, b) => a.params.L - b.params.L);
    return {
      suite,
      title: `${suite}: ${title}`,
      columns: [
        ...['L', 'what', 'ms: median (min–max, n)', 'GFLOP/s', 'of ceiling', 'error', 'peak bytes'],
        ...rivals.map((name) => `× ${name}`),
      ],
      rows: sorted.map((row) => [
        count(row.params.L),
        who(row),
        times(row.ms),
        'gflops' in row ? significant(row.gflops) : '',
        'share' in row ? percent(row.share) : '',
        error(row.maxError),
        row.bytesPeak === undefined ? '' : bytes(row.bytesPeak),
        ...rivals.map((name) => ('against' in row ? ratio(row, name) : '')),
      ]),
      lines: [],
    };
  });
}

/** How many times as fast as the other; ~ where its time is extrapolated. */
function ratio({ against, extrapolated }: Row, name: string): string {
  const value = against[name];
  return value === undefined ? '' : `${extrapolated.includes(name) ? '~' : ''}${significant(value)}`;
}

function callSections({ calls }: Findings): Section[] {
  const rows = calls.map(({ name, variant, params: { L, H, D, R, C, causal }, firstMs, overheadMs }) => [
    `${name} ${variant}`,
    `L=${L} H=${H} D=${D} R=${R} C=${C}${causal ? ' causal' : ''}`,
    milliseconds(firstMs),
    overheadMs.toFixed(2),
  ]);
  const columns = ['what', 'call', 'ms: first call, with compilation', 'ms: a later call beside its kernels'];
  return rows.length === 0 ? [] : [{ suite: 'kernels', title: 'calls', columns, rows, lines: [] }];
}

function kernelSections({ rows }: Findings): Section[] {
  const own = rows.filter(({ suite }) => suite === 'kernels');
  const titleOf = (row: Row) => `kernels: L=${count(row.params.L)}, ${sizes(row)}`;
  return distinct(own.map(titleOf)).map((title) => {
    const ofTitle = own.filter((row) => titleOf(row) === title);
    const sumOf = (wanted: Partial<Row>) =>
      ofTitle
        .filter((row) => Object.entries(wanted).every(([key, value]) => row[key as keyof Row] === value))
        .reduce((sum, row) => sum + row.ms.median, 0);
    return {
      suite: 'kernels' as const,
      title,
      columns: [
        'call',
        'device',
        'kernel',
        'ms: median (min–max, n)',
        'of the time',
        'GFLOP/s',
        'of ceiling',
      ],
      rows: ofTitle.map(({ call, variant, of, name, ms, gflops, share }) => [
        `${call} ${of}`,
        variant,
        name,
        times(ms),
        percent(ms.median / sumOf({ call, variant, of } as Partial<Row>)),
        gflops > 0 ? significant(gflops) : '',
        percent(share),
      ]),
      lines: distinct(ofTitle.map(({ variant }) => variant)).flatMap((variant) => {
        const forward = sumOf({ call: 'lsh', variant, of: 'forward' });
        const kernel = (name: RegExp) =>
          ofTitle.find((row) => row.variant === variant && row.of === 'forward' && name.test(row.name));
        const attend = kernel(/^attend\/forward/);
        const dense = kernel(/^dense\/forward/);
        return attend === undefined
          ? []
          : [
              `${variant}: forward ${milliseconds(forward)} ms, of which not attend ${percent(1 - attend.ms.median / forward)}; ` +
                `backward ${significant(sumOf({ call: 'lsh', variant, of: 'backward' }) / forward)} × forward` +
                `${dense === undefined ? '' : `; attend at ${significant(attend.gflops / dense.gflops)} × the rate of dense`}.`,
            ];
      }),
    };
  });
}

function memorySections({ rows, others }: Findings): Section[] {
  const own = [...rows, ...others].filter(({ suite }) => suite === 'memory');
  return distinct(own.map((row) => sizes(row, false))).map((title) => ({
    suite: 'memory' as const,
    title: `memory: ${title}`,
    columns: ['L', 'what', 'R', 'inputs and output', 'peak', 'peak over both'],
    rows: own
      .filter((row) => sizes(row, false) === title)
      .sort((a, b) => a.params.L - b.params.L)
      .map((row) => {
        const { bytesPeak = 0, bytesInOut = 1 } = row;
        const rounds = row.name === 'lsh' ? String(row.params.R) : '';
        const size = [bytes(bytesInOut), bytes(bytesPeak), significant(bytesPeak / bytesInOut)];
        return [count(row.params.L), who(row), rounds, ...size];
      }),
    lines: [],
  }));
}

function scalingSections({ rows }: Findings): Section[] {
  const own = rows.filter(({ suite }) => suite === 'scaling');
  return distinct(own.map((row) => sizes(row))).map((title) => ({
    suite: 'scaling' as const,
    title: `scaling: ${title}`,
    columns: [
      'L',
      'what',
      'ms: median (min–max, n)',
      'time over half the length’s',
      'GFLOP/s',
      'error',
      'peak over inputs and output',
    ],
    rows: own
      .filter((row) => sizes(row) === title)
      .map((row) => [
        count(row.params.L),
        who(row),
        times(row.ms),
        row.growth === undefined ? '' : significant(row.growth),
        significant(row.gflops),
        error(row.maxError),
        significant((row.bytesPeak ?? 0) / (row.bytesInOut ?? 1)),
      ]),
    lines: [],
  }));
}

function windowsSections({ rows }: Findings): Section[] {
  const own = rows.filter(({ suite }) => suite === 'windows');
  const titleOf = (row: Row) => `windows: L=${count(row.params.L)}, ${sizes(row)}`;
  return distinct(own.map(titleOf)).map((title) => ({
    suite: 'windows' as const,
    title,
    columns: [
      'windows',
      'device',
      'pairs of a head',
      'ms: median (min–max, n)',
      '× pairs',
      '× time',
      'error',
    ],
    rows: own
      .filter((row) => titleOf(row) === title)
      .map((row) => {
        const chunks = own.find(
          (one) => one.windows === 'chunk' && one.variant === row.variant && titleOf(one) === title,
        );
        const over = (of: (row: Row) => number) => (chunks ? significant(of(row) / of(chunks)) : '');
        return [
          ...[row.windows ?? '', row.variant, count(row.pairs ?? 0), times(row.ms)],
          ...[over(({ pairs = 0 }) => pairs), over(({ ms }) => ms.median), error(row.maxError)],
        ];
      }),
    lines: ['half: one bucket has half of the tokens; × is over chunks.'],
  }));
}

const COMPOSED = '-composed';

function composedSections({ others }: Findings): Section[] {
  const own = others.filter(({ suite }) => suite === 'composed');
  const lsh = own.filter(({ name }) => name.endsWith(COMPOSED));
  return distinct(lsh.map((row) => sizes(row))).map((title) => ({
    suite: 'composed' as const,
    title: `composed: ${title}`,
    columns: ['L', 'backend', 'lsh, ms: median (min–max, n)', 'dense, ms', '× dense', 'error'],
    rows: lsh
      .filter((row) => sizes(row) === title)
      .map((row) => {
        const backend = row.name.slice(0, -COMPOSED.length);
        const dense = own.find((other) => other.name === backend && caseOf(other) === caseOf(row));
        return [
          ...[count(row.params.L), backend, times(row.ms), dense === undefined ? '' : times(dense.ms)],
          ...[dense === undefined ? '' : significant(dense.ms.median / row.ms.median), error(row.maxError)],
        ];
      }),
    lines: [],
  }));
}
