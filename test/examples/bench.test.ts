/** The bench: its options, what it makes of measurements, and a quick real run of its suites. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { contest } from '../../bench/contest.js';
import type { Context } from '../../bench/context.js';
import type { Case, Entrant } from '../../bench/entrant.js';
import { denseRow, errorOf, lshRow, type Tensors } from '../../bench/exact.js';
import { Collected, type Findings, faultsOf, type Params } from '../../bench/findings.js';
import { Inputs, SETS } from '../../bench/inputs.js';
import { parsedOptions } from '../../bench/options.js';
import { benchPage } from '../../bench/page.js';
import { markdown } from '../../bench/report.js';
import { extrapolated, repetitions, spread } from '../../bench/statistics.js';
import { normals } from '../inputs.js';
import { attend } from '../oracle/attend.js';
import { interrupted, run } from './commands.js';

const folder = mkdtempSync(join(tmpdir(), 'lsh-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('options', () => {
  test('have defaults', () => {
    expect(parsedOptions([])).toMatchObject({
      suites: ['kernels'],
      depth: 64,
      hashes: 4,
      chunk: 64,
      runs: 5,
      longest: 5000,
      variants: ['plain', 'best'],
    });
    expect(parsedOptions([])).not.toHaveProperty('causal');
    expect(parsedOptions(['--causal'])).toMatchObject({ causal: true });
    expect(parsedOptions(['--no-causal'])).toMatchObject({ causal: false });
    expect(parsedOptions(['--help'])).toBeUndefined();
  });

  test('are lists', () => {
    const options = parsedOptions([
      '--suite',
      'scaling,memory',
      '--lengths',
      '4096,1024',
      '--against',
      'none',
    ]);
    expect(options).toMatchObject({ suites: ['memory', 'scaling'], lengths: [1024, 4096], against: [] });
    expect(parsedOptions(['--suite', 'all'])?.suites).not.toContain('copy');
  });

  test.each([
    [
      ['--suite', 'speed'],
      "--suite must be of kernels, attention, training, memory, scaling, peers, windows, composed, copy, search, all; got 'speed'",
    ],
    [['--lengths', '1024,x'], "--lengths must be an integer from 1 to 16777216, got 'x'"],
    [['--lengths', ''], "got ''"],
    [['--depth', '257'], '--depth must be an integer from 1 to 256'],
    [['--runs', '0'], '--runs must be an integer'],
    [['--longest', 'soon'], '--longest must be a number of seconds above 0'],
    [['--variants', 'fast'], '--variants must be of plain, best'],
    [['--against', 'everyone'], '--against must be of tfjs, composed'],
    [['--rotation', 'none'], '--rotation must be gaussian or hadamard'],
    [['--resume'], '--resume needs --json FILE'],
    [['--colour'], "Unknown option '--colour'"],
    [['stray'], 'stray'],
  ])('%j is refused', (args, complaint) => {
    expect(() => parsedOptions(args)).toThrow(complaint);
  });
});

describe('statistics', () => {
  test('the middle and the ends', () => {
    expect(spread([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9, n: 3 });
    expect(spread([4, 1, 2, 9])).toEqual({ median: 3, min: 1, max: 9, n: 4 });
    expect(() => spread([])).toThrow(RangeError);
  });

  test('long runs are repeated less often', () => {
    expect(repetitions(4999, 5)).toBe(5);
    expect(repetitions(5001, 5)).toBe(2);
    expect(repetitions(9000, 1)).toBe(1);
  });

  test('a time grows by a power of the length, from the greatest length measured', () => {
    const measured = [
      { L: 1024, milliseconds: 10 },
      { L: 4096, milliseconds: 200 },
      { L: 2048, milliseconds: 45 },
    ];
    expect(extrapolated(measured, 8192, 2)).toBe(800);
    expect(extrapolated(measured, 8192, 1)).toBe(400);
    expect(extrapolated(measured, 2048, 2)).toBe(45);
    expect(extrapolated(measured, 512, 2)).toBeUndefined();
  });
});

test('input sets are parts of one pool that keeps its numbers as it grows, with outliers', () => {
  const inputs = new Inputs();
  const first = Array.from(inputs.part(SETS[1]?.q as number, 100));
  const many = inputs.part(0, 500_000);
  expect(Array.from(inputs.part(SETS[1]?.q as number, 100))).toEqual(first);
  expect(new Set(SETS.flatMap(({ q, k, v }) => [q, k, v])).size).toBe(9);
  const size = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  expect(size(many.filter((_, i) => i % 997 !== 7))).toBeCloseTo(1, 2);
  expect(size(many.filter((_, i) => i % 997 === 7))).toBeGreaterThan(6);
  const file = inputs.file(1000);
  expect(readFileSync(file).length).toBeGreaterThanOrEqual(4 * 1000);
  inputs.dispose();
  expect(() => readFileSync(file)).toThrow();
});

describe('exact rows', () => {
  const params: Params = { B: 1, H: 2, L: 48, D: 8, R: 2, C: 8, causal: true };
  const { H, L, D, R, C } = params;
  const tensors: Tensors = {
    q: normals(H * L * D, 1),
    v: normals(H * L * D, 2),
    at: (head, token) => (head * L + token) * D,
    scale: 1,
  };
  const shape = { B: 1, H, L, D, E: D };
  const N = 6;
  const buckets = Int32Array.from({ length: H * R * L }, (_, i) => (i * 7919) % N);

  test.each([false, true])('are those of the oracle, causal: %s', (causal) => {
    const one = { ...params, causal };
    const lsh = attend({ qk: tensors.q, v: tensors.v, buckets }, shape, { R, N, C, causal });
    const dense = attend({ qk: tensors.q, v: tensors.v, buckets }, shape, { R, N, C: L, causal });
    const asFloats = (values: ArrayLike<number>) => Float32Array.from(values);
    const lshError = (out: Float32Array) =>
      errorOf(out, (place) => lshRow(tensors, one, buckets, place), tensors, one);
    expect(lshError(asFloats(lsh.out))).toBeLessThan(1e-6);
    expect(lshError(asFloats(dense.out))).toBeGreaterThan(1e-3);
    const denseError = errorOf(asFloats(dense.out), (place) => denseRow(tensors, one, place), tensors, one);
    expect(denseError).toBeLessThan(1e-6);
    expect(lshError(asFloats(lsh.out).fill(Number.NaN))).toBe(Number.POSITIVE_INFINITY);
  });
});

const CASE = (L: number): Case => ({
  suite: 'attention',
  params: { B: 1, H: 2, L, D: 32, R: 2, C: 16, causal: false },
});

/** A context without a device. */
function contextOf(options: string[], before?: Findings, stopAfter = Number.POSITIVE_INFINITY) {
  const findings = new Collected('made up', { gflops: 100, gbps: 10 }, before);
  const log: string[] = [];
  let saves = 0;
  const context = {
    options: parsedOptions(options),
    findings,
    inputs: new Inputs(),
    stopped: () => log.filter((line) => line.startsWith('run')).length >= stopAfter,
    progress: () => {},
    save: () => {
      saves++;
    },
  } as unknown as Context;
  return { context, findings, log, saves: () => saves };
}

/** An entrant whose runs take as long as it says. */
function entrant(
  log: string[],
  name: string,
  milliseconds: (L: number) => number,
  more: Partial<Entrant> = {},
): Entrant {
  const who = more.variant === undefined ? name : `${name} ${more.variant}`;
  return {
    name,
    power: 2,
    unable: () => undefined,
    prepare: async ({ params: { L } }) => {
      log.push(`prepare ${who}`);
      return {
        maxError: 1e-6,
        bytesPeak: 1000,
        run: async (set) => {
          log.push(`run ${who} ${set}`);
          return milliseconds(L);
        },
        dispose: () => {
          log.push(`dispose ${who}`);
        },
      };
    },
    ...more,
  };
}

describe('a contest', () => {
  const own = { variant: 'best', power: 1 } as const;

  test('takes turns, on other inputs each turn, and tells ratios', async () => {
    const { context, findings, log, saves } = contextOf(['--runs', '3']);
    const lsh = entrant(log, 'lsh', () => 10, own);
    await contest(
      context,
      [lsh, entrant(log, 'torch', () => 25), entrant(log, 'tfjs', () => 40, { variant: 'plain' })],
      [CASE(64)],
    );
    expect(log.filter((line) => line.startsWith('run')).slice(3)).toEqual([
      ...['run lsh best 1', 'run torch 1', 'run tfjs plain 1'],
      ...['run lsh best 2', 'run torch 2', 'run tfjs plain 2'],
      ...['run lsh best 0', 'run torch 0', 'run tfjs plain 0'],
    ]);
    expect(log.filter((line) => line.startsWith('dispose'))).toHaveLength(3);
    const [row] = findings.rows;
    expect(row).toMatchObject({ name: 'lsh', variant: 'best', ms: { median: 10, n: 3 }, maxError: 1e-6 });
    expect(row?.against).toEqual({ torch: 2.5, tfjs: 4 });
    expect(row?.extrapolated).toEqual([]);
    expect(findings.others.map(({ name }) => name)).toEqual(['torch', 'tfjs']);
    expect(saves()).toBe(1);
    expect(faultsOf(JSON.parse(JSON.stringify(findings)))).toEqual([]);
  });

  test('extrapolates what would take too long, and says so', async () => {
    const { context, findings, log } = contextOf(['--longest', '1', '--runs', '2']);
    const slow = entrant(log, 'torch', (L) => (L / 64) ** 2 * 200);
    await contest(context, [entrant(log, 'lsh', () => 10, own), slow], [CASE(64), CASE(128), CASE(256)]);
    expect(findings.rows.map(({ against }) => against.torch)).toEqual([20, 80, 320]);
    expect(findings.rows.map((row) => row.extrapolated)).toEqual([[], [], ['torch']]);
    expect(findings.others.filter(({ name }) => name === 'torch')).toHaveLength(2);
    expect(findings.notes).toEqual(['torch at L=256 is extrapolated by L²: would take 3.2 s.']);
  });

  test('waits longer for what it does not extrapolate, but not for ever', async () => {
    const { context, findings, log } = contextOf(['--longest', '1', '--runs', '2']);
    const lsh = entrant(log, 'lsh', (L) => L * 20, own);
    await contest(context, [lsh], [CASE(64), CASE(128), CASE(256)]);
    expect(findings.rows.map(({ params }) => params.L)).toEqual([64, 128]);
    expect(findings.notes).toEqual([
      'lsh best is not measured in attention B=1 H=2 L=256 D=32 R=2 C=16: would take 5.12 s.',
    ]);
  });

  test('goes on without who fails or cannot', async () => {
    const { context, findings, log } = contextOf(['--runs', '2']);
    const failing = entrant(log, 'torch', () => 1, { prepare: () => Promise.reject(new Error('no memory')) });
    const unable = entrant(log, 'tfjs', () => 1, { unable: () => 'it is too small' });
    await contest(context, [failing, unable, entrant(log, 'lsh', () => 10, own)], [CASE(64)]);
    expect(findings.rows).toHaveLength(1);
    expect(findings.notes.join()).toMatch(
      /torch fails in attention .*no memory.*tfjs is not measured in .*too small/,
    );
  });

  test('that is stopped keeps what it has, and goes on from there', async () => {
    const first = contextOf(['--runs', '3'], undefined, 6);
    await contest(first.context, [entrant(first.log, 'lsh', () => 10, own)], [CASE(64), CASE(128)]);
    const rowsOf = ({ rows }: Findings) => rows.map(({ params, ms }) => [params.L, ms.n]);
    expect(rowsOf(first.findings)).toEqual([
      [64, 3],
      [128, 1],
    ]);
    expect(first.findings.unfinished).toEqual(['attention B=1 H=2 L=128 D=32 R=2 C=16']);
    expect(first.saves()).toBe(2);
    const second = contextOf(['--runs', '3'], JSON.parse(JSON.stringify(first.findings)) as Findings);
    await contest(second.context, [entrant(second.log, 'lsh', () => 10, own)], [CASE(64), CASE(128)]);
    expect(rowsOf(second.findings)).toEqual([
      [64, 3],
      [128, 3],
    ]);
    expect(second.findings.unfinished).toEqual([]);
    expect(second.log.filter((line) => line.startsWith('prepare'))).toHaveLength(1);
  });
});

describe('reports', () => {
  const params: Params = { B: 1, H: 8, L: 1024, D: 64, R: 4, C: 64, causal: true };
  const ms = { median: 12.34, min: 11, max: 14, n: 5 };
  const row = { params, ms, gflops: 5, share: 0.25, against: {}, extrapolated: [] };
  const findings: Findings = {
    adapter: 'made <up>',
    date: '2026-01-02',
    ceilings: { gflops: 20, gbps: 2 },
    rows: [
      {
        ...row,
        suite: 'attention',
        name: 'lsh',
        variant: 'best',
        maxError: 2e-6,
        bytesPeak: 2 ** 20,
        against: { torch: 2, 'onnxruntime-webgpu': 30 },
        extrapolated: ['onnxruntime-webgpu'],
      },
      {
        ...row,
        suite: 'attention',
        name: 'lsh',
        variant: 'best',
        params: { ...params, L: 2048 },
        against: {},
      },
      { ...row, suite: 'kernels', name: 'attend/forward', variant: 'best', of: 'forward', call: 'lsh' },
      {
        ...row,
        suite: 'kernels',
        name: 'sort/place',
        variant: 'best',
        of: 'forward',
        call: 'lsh',
        gflops: 0,
        ms: { ...ms, median: 4.11 },
      },
      {
        ...row,
        suite: 'kernels',
        name: 'attend/backward_key',
        variant: 'best',
        of: 'backward',
        call: 'lsh',
        ms: { ...ms, median: 32.9 },
      },
      {
        ...row,
        suite: 'kernels',
        name: 'dense/forward',
        variant: 'best',
        of: 'forward',
        call: 'dense',
        gflops: 10,
      },
      { ...row, suite: 'memory', name: 'lsh', variant: 'best', bytesPeak: 3e6, bytesInOut: 2e6 },
      {
        ...row,
        suite: 'memory',
        name: 'lsh',
        variant: 'best',
        params: { ...params, R: 8 },
        bytesPeak: 4e6,
        bytesInOut: 2e6,
      },
      { ...row, suite: 'scaling', name: 'lsh', variant: 'best', ms: { ...ms, n: 1 } },
      {
        ...row,
        suite: 'scaling',
        name: 'lsh',
        variant: 'best',
        params: { ...params, L: 2048 },
        growth: 2.05,
      },
      { ...row, suite: 'windows', name: 'lsh', variant: 'best', windows: 'chunk', pairs: 1000 },
      {
        ...{ ...row, suite: 'windows', name: 'lsh', variant: 'best', windows: 'half', pairs: 4000 },
        ms: { ...ms, median: 24.68 },
      },
    ],
    others: [
      { suite: 'attention', name: 'torch', params, ms: { ...ms, median: 24.7 }, maxError: 1e-7 },
      { suite: 'composed', name: 'tfjs-cpu', params, ms: { ...ms, median: 30.85 } },
      { suite: 'composed', name: 'tfjs-cpu-composed', params, ms, maxError: 3e-7 },
      { suite: 'composed', name: 'tfjs-cpu-composed', params: { ...params, L: 2048 }, ms },
    ],
    peers: [
      { name: 'torch', version: '9.9' },
      { name: 'reformer-pytorch', absent: 'no such module' },
    ],
    calls: [{ name: 'lsh', variant: 'best', params, firstMs: 2345.6, overheadMs: 0.456 }],
    unfinished: [],
    notes: ['onnxruntime-webgpu at L=1024 causal is extrapolated by L²: would take 7 s.'],
  };

  test('are the JSON that the rules ask for', () => {
    expect(faultsOf(findings)).toEqual([]);
    const { rows, ...others } = findings;
    expect(faultsOf(others)).toContain('rows is no list');
    const faulty = (change: object) => faultsOf({ ...findings, rows: [{ ...rows[0], ...change }] });
    expect(faulty({ ms: { median: 1 } })).toEqual(['row 0 (lsh) lacks times']);
    expect(faulty({ variant: 'odd' })).toEqual(['lsh has the variant odd']);
    expect(faulty({ params: { ...params, causal: 1 } })).toEqual(['row 0 (lsh) lacks letters']);
    expect(faulty({ extrapolated: ['jax'] })).toEqual(['lsh extrapolates what it is not compared with']);
    expect(faulty({ gflops: Number.NaN })).toEqual(['lsh has no rate']);
    expect(faultsOf(null).length).toBeGreaterThan(0);
  });

  test('in Markdown have a table a case, ratios, and what is absent', () => {
    const text = markdown(findings);
    expect(text).toContain('# Bench on made <up>, 2026-01-02');
    expect(text).toContain('- torch 9.9\n- reformer-pytorch is absent: no such module');
    expect(text).toContain('| 1,024 | lsh best | 12.3 (11–14, 5) | 5 | 25 % | 2.0e-6 | 1 MiB | ~30 | 2 |');
    expect(text).toContain('| 1,024 | torch | 24.7 (11–14, 5) |  |  | 1.0e-7 |  |  |  |');
    expect(text).toContain('| lsh forward | best | sort/place | 4.11 (11–14, 5) | 25 % |  | 25 % |');
    expect(text).toContain('| lsh best | L=1024 H=8 D=64 R=4 C=64 causal | 2346 | 0.46 |');
    expect(text).toContain('not attend 25 %; backward 2 × forward; attend at 0.5 × the rate of dense.');
    expect(text).toContain('| 1,024 | lsh best | 8 | 1.91 MiB | 3.81 MiB | 2 |');
    expect(text).toContain('| 1,024 | lsh best | 12.3 (once) |');
    expect(text).toContain('| 2,048 | lsh best | 12.3 (11–14, 5) | 2.05 |');
    expect(text).toContain('| half | best | 4,000 | 24.7 (11–14, 5) | 4 | 2 |  |');
    expect(text).toContain('## composed: H=8 D=64 R=4 C=64, causal');
    expect(text).toContain('| 1,024 | tfjs-cpu | 12.3 (11–14, 5) | 30.9 (11–14, 5) | 2.5 | 3.0e-7 |');
    expect(text).toContain('| 2,048 | tfjs-cpu | 12.3 (11–14, 5) |  |  |  |');
    expect(text).toContain('extrapolated by L²: would take 7 s');
    for (const block of text.split('\n\n').filter((one) => one.startsWith('|'))) {
      expect(new Set(block.split('\n').map((line) => line.split(' | ').length)).size, block).toBe(1);
    }
  });

  test('as a page have charts and the same tables', () => {
    const html = benchPage(findings);
    expect(html.match(/<figure>/g)?.length).toBe(4);
    expect(html.match(/<table>/g)?.length).toBe(7);
    expect(html).toContain('made &lt;up>');
    expect(html).toContain('<td>~30</td>');
  });

  test('of nothing are empty, not broken', () => {
    const nothing: Findings = { ...findings, rows: [], others: [], peers: [], calls: [], notes: [] };
    expect(markdown(nothing)).toContain('Ceilings: 20.0 GFLOP/s, 2.00 GB/s.');
    expect(benchPage(nothing)).not.toContain('<figure>');
  });
});

/** Tiny sizes: what is tested is that everything runs, not how fast. */
const TINY = [
  ...['--heads', '1', '--depth', '32', '--hashes', '2', '--chunk', '16', '--runs', '2'],
  ...['--lengths', '64,128', '--causal'],
];
const command = (...more: string[]) => ['scripts/gpu.mjs', 'bench/run.ts', ...TINY, ...more];

describe('a real run', () => {
  test('of the suite search measures every index on two sets, and signatures', async () => {
    const [json, table] = [join(folder, 'search.json'), join(folder, 'search.md')];
    const { code, stderr } = await run([
      ...['scripts/gpu.mjs', 'bench/run.ts', '--suite', 'search', '--lengths', '2000', '--runs', '1'],
      ...['--json', json, '--markdown', table],
    ]);
    expect(code, stderr.slice(-2000)).toBe(0);
    const { neighbours, signatures } = JSON.parse(readFileSync(json, 'utf8'));
    expect(signatures.length).toBeGreaterThanOrEqual(3);
    const planted = neighbours.filter(({ data }: { data: string }) => data === 'planted, 2000 × 128');
    const [binary, planes, polytopes, tunedBinary, tunedTables, onWebGPU, exact] = planted;
    expect([binary.recall, onWebGPU.recall, exact.recall]).toEqual([1, 1, 1]);
    expect(polytopes.recall).toBeGreaterThan(1.5 * planes.recall);
    expect([tunedBinary.name, tunedTables.name]).toEqual([
      'BinaryIndex tuned to .9 (build with tune)',
      'LshIndex tuned to .9 (build with tune)',
    ]);
    expect(tunedTables.candidates).toBeLessThan(exact.candidates / 2);
    expect([onWebGPU.name, exact.name]).toEqual([
      'BinaryIndex, 256 bits, on WebGPU',
      'BruteForceIndex, on WebGPU',
    ]);
    for (const { candidates, queriesPerSecond, buildSeconds, bytesPerVector } of planted.slice(0, 7)) {
      expect(Math.min(candidates, queriesPerSecond, buildSeconds, bytesPerVector)).toBeGreaterThan(0);
    }
    expect(readFileSync(table, 'utf8')).toContain(
      '| planted, 2000 × 128 | BinaryIndex, 256 bits | 100.0 % |',
    );
  });

  test('of every suite measures what it says, right', { timeout: 300_000 }, async () => {
    const [json, html] = [join(folder, 'all.json'), join(folder, 'all.html')];
    const { code, stdout, stderr } = await run(
      command('--suite', 'all', '--against', 'tfjs,composed,onnxruntime-cpu', '--json', json, '--html', html),
    );
    expect(code, stderr.slice(-2000)).toBe(0);
    const findings = JSON.parse(readFileSync(json, 'utf8')) as Findings;
    expect(faultsOf(findings)).toEqual([]);
    for (const suite of ['kernels', 'attention', 'training', 'memory', 'scaling', 'windows']) {
      for (const variant of ['plain', 'best']) {
        const own = findings.rows.filter((row) => row.suite === suite && row.variant === variant);
        expect(own.length, `${suite} ${variant}`).toBeGreaterThanOrEqual(2);
      }
    }
    const attention = findings.rows.filter(({ suite }) => suite === 'attention');
    expect(attention).toHaveLength(8);
    for (const { name, against, maxError = 1, bytesPeak = 0, bytesInOut = 0 } of attention) {
      expect(Object.keys(against)).toEqual(expect.arrayContaining(['tfjs', 'composed']));
      expect('dense' in against).toBe(name === 'lsh');
      expect(maxError).toBeLessThan(1e-5);
      expect(bytesPeak).toBeGreaterThan(bytesInOut);
    }
    const kernels = new Set(findings.rows.filter(({ suite }) => suite === 'kernels').map(({ name }) => name));
    expect([...kernels]).toEqual(expect.arrayContaining(['hash/rotate', 'sort/place']));
    expect([...kernels].some((name) => name.startsWith('attend/backward'))).toBe(true);
    expect(findings.rows.filter(({ growth = 0 }) => growth > 0)).toHaveLength(2);
    expect(findings.calls).toHaveLength(4);
    expect(findings.calls.every(({ firstMs, overheadMs }) => firstMs > overheadMs)).toBe(true);
    for (const { name, version, absent } of findings.peers) {
      expect(version ?? absent, `${name} is there, or named as absent`).toBeTruthy();
    }
    const windows = findings.rows.filter(({ suite }) => suite === 'windows');
    expect(windows.map((row) => row.windows)).toEqual(Array(4).fill(['chunk', 'bucket', 'half']).flat());
    expect(Math.max(...windows.map(({ maxError = 1 }) => maxError))).toBeLessThan(1e-5);
    // Two buckets of 32 tokens, then four: half of 128 tokens in one make half as many pairs more.
    expect(windows.map(({ pairs }) => pairs)).toEqual([
      ...Array(2).fill([4096, 4096, 4096]).flat(),
      ...Array(2).fill([8192, 8192, 12288]).flat(),
    ]);
    const composed = findings.others.filter(({ suite }) => suite === 'composed');
    for (const name of ['tfjs-cpu', 'tfjs-cpu-composed', 'tfjs-wasm', 'tfjs-wasm-composed']) {
      const errors = composed.filter((row) => row.name === name).map(({ maxError = 1 }) => maxError);
      expect(errors, name).toHaveLength(2);
      expect(Math.max(...errors), name).toBeLessThan(1e-5);
    }
    expect(stdout).toContain('## scaling: H=1 D=32 R=2 C=16, causal');
    expect(readFileSync(html, 'utf8').match(/<figure>/g)?.length).toBeGreaterThanOrEqual(4);
  });

  test('that Ctrl-C stops writes what there is; --resume goes on', { timeout: 300_000 }, async () => {
    const json = join(folder, 'stopped.json');
    const args = command('--suite', 'attention', '--against', 'none', '--variants', 'plain', '--json', json);
    // Runs enough for the signal to find it at work.
    const first = await interrupted([...args, '--runs', '500'], 'L=64 D=32 R=2 C=16 causal: run 1');
    expect(first.code, first.stderr.slice(-2000)).toBe(130);
    expect(first.stdout).toContain('The same command with --resume goes on from here.');
    const read = () => JSON.parse(readFileSync(json, 'utf8')) as Findings;
    expect(read().unfinished).toEqual(['attention B=1 H=1 L=64 D=32 R=2 C=16 causal']);
    expect(read().rows.every(({ params }) => params.L === 64)).toBe(true);
    const second = await run([...args, '--runs', '2', '--resume']);
    expect(second.code, second.stderr.slice(-2000)).toBe(0);
    expect(read().unfinished).toEqual([]);
    expect(read().rows.map(({ name, params, ms }) => [name, params.L, ms.n])).toEqual([
      ['lsh', 64, 2],
      ['dense', 64, 2],
      ['lsh', 128, 2],
      ['dense', 128, 2],
    ]);
  });

  test('with what is not to be is refused in a line', async () => {
    const json = join(folder, 'other.json');
    writeFileSync(json, '{"rows": 1}');
    const refused = await run(command('--json', json, '--resume'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/other\.json is not of this bench: .* Leave --resume out to start over\./);
    expect(refused.stderr).not.toMatch(/\n +at /);
  });
});
