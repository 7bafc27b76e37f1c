/** What the bench found, as JSON. */
import type { Ceilings } from 'tfjs-lsh-attention/webgpu';
import type { Suite, Variant } from './options.js';
import type { Spread } from './statistics.js';

/** The sizes of a case, in letters. */
export interface Params {
  readonly B: number;
  readonly H: number;
  readonly L: number;
  readonly D: number;
  readonly R: number;
  readonly C: number;
  readonly causal: boolean;
}

/** One thing that was measured, of ours. */
export interface Row {
  readonly suite: Suite;
  /** `lsh`, `dense`, or a kernel's file name. */
  readonly name: string;
  readonly variant: Variant;
  readonly params: Params;
  /** Milliseconds of a call, or of all dispatches of a kernel in one. */
  readonly ms: Spread;
  /** 10⁹ useful operations by the second. */
  readonly gflops: number;
  /** Share of the ceiling that binds it, by counted operations and bytes. */
  readonly share: number;
  /** Most bytes of GPU buffers in use during a call, inputs and outputs included. */
  readonly bytesPeak?: number;
  /** Bytes of inputs and outputs. */
  readonly bytesInOut?: number;
  /** Largest difference from float64 over the largest value, of a sample of rows. */
  readonly maxError?: number;
  /** The other's time over ours. */
  readonly against: Readonly<Record<string, number>>;
  /** Those of `against` whose time was extrapolated by L². */
  readonly extrapolated: readonly string[];
  /** Which part of a training step a kernel's row is of. */
  readonly of?: 'forward' | 'backward';
  /** … and of which attention. */
  readonly call?: 'lsh' | 'dense';
  /** Of the suite `windows`: which tokens are seen; `half`: of buckets of which one has half of all tokens. */
  readonly windows?: 'chunk' | 'bucket' | 'half';
  /** Pairs of a head in all rounds. */
  readonly pairs?: number;
  /** Time over that of half the length. */
  readonly growth?: number;
}

/** One thing that was measured beside. */
export interface OtherRow {
  readonly suite: Suite;
  readonly name: string;
  readonly params: Params;
  readonly ms: Spread;
  readonly maxError?: number;
  readonly bytesPeak?: number;
  readonly bytesInOut?: number;
}

/** What a small call costs beside its kernels. */
export interface CallRow {
  readonly name: 'lsh' | 'dense';
  readonly variant: Variant;
  readonly params: Params;
  /** Milliseconds of the first call in the process, which compiles; a driver may have kept what it compiled earlier. */
  readonly firstMs: number;
  /** Milliseconds of a later call, less its kernels and the read of a number: the least of many of each. */
  readonly overheadMs: number;
}

/** Another library: its version, or why it is absent. */
export interface PeerNote {
  readonly name: string;
  readonly version?: string;
  readonly absent?: string;
}

export interface Findings {
  readonly adapter: string;
  readonly date: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly Row[];
  readonly others: readonly OtherRow[];
  readonly peers: readonly PeerNote[];
  readonly calls: readonly CallRow[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
  /** Cases that Ctrl-C stopped: their rows are of fewer runs, and a later run measures them again. */
  readonly unfinished: readonly string[];
}

/** Rows of the same case are measured in turns, and are comparable. */
export function caseOf({ suite, params }: { readonly suite: string; readonly params: Params }): string {
  const { B, H, L, D, R, C, causal } = params;
  return `${suite} B=${B} H=${H} L=${L} D=${D} R=${R} C=${C}${causal ? ' causal' : ''}`;
}

/** Collects findings, and keeps those of an earlier run. */
export class Collected implements Findings {
  readonly date: string;
  readonly rows: Row[] = [];
  readonly others: OtherRow[] = [];
  readonly peers: PeerNote[] = [];
  readonly calls: CallRow[] = [];
  readonly notes: string[] = [];
  readonly unfinished: string[] = [];
  private readonly earlier = new Set<string>();

  constructor(
    readonly adapter: string,
    readonly ceilings: Ceilings,
    before?: Findings,
  ) {
    this.date = new Date().toISOString().slice(0, 10);
    if (before !== undefined) {
      const finished = (row: Row | OtherRow) => !before.unfinished.includes(caseOf(row));
      this.rows.push(...before.rows.filter(finished));
      this.others.push(...before.others.filter(finished));
      this.notes.push(...before.notes);
      this.peers.push(...before.peers);
      this.calls.push(...before.calls);
      for (const row of [...this.rows, ...this.others]) {
        this.earlier.add(caseOf(row));
      }
    }
  }

  /** Whether an earlier run has measured the case. */
  has(suite: Suite, params: Params): boolean {
    return this.earlier.has(caseOf({ suite, params }));
  }

  /** The rows of a case are not all that they were to be. */
  unfinish(suite: Suite, params: Params): void {
    this.unfinished.push(caseOf({ suite, params }));
  }

  note(text: string): void {
    if (!this.notes.includes(text)) {
      this.notes.push(text);
    }
  }

  peer(note: PeerNote): void {
    const known = this.peers.findIndex(({ name }) => name === note.name);
    this.peers.splice(known < 0 ? this.peers.length : known, known < 0 ? 0 : 1, note);
  }

  toJSON(): Findings {
    const { adapter, date, ceilings, rows, others, peers, calls, notes, unfinished } = this;
    return { adapter, date, ceilings, rows, others, peers, calls, notes, unfinished };
  }
}

/** What is wrong with the bench's JSON; nothing, where it is as {@link Findings} says. */
export function faultsOf(json: unknown): string[] {
  const faults: string[] = [];
  const found = json as Partial<Findings> | null;
  const check = (right: boolean, fault: string) => {
    if (!right) {
      faults.push(fault);
    }
  };
  const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);
  check(typeof found?.adapter === 'string', 'adapter is no text');
  check(isNumber(found?.ceilings?.gflops) && isNumber(found?.ceilings?.gbps), 'ceilings are no numbers');
  for (const list of ['rows', 'others', 'peers', 'calls', 'notes', 'unfinished'] as const) {
    check(Array.isArray(found?.[list]), `${list} is no list`);
  }
  if (faults.length > 0) {
    return faults;
  }
  for (const [n, row] of [...(found?.rows ?? []), ...(found?.others ?? [])].entries()) {
    const { suite, name, params, ms } = row;
    check(typeof suite === 'string' && typeof name === 'string', `row ${n} has no suite or name`);
    check(
      (['B', 'H', 'L', 'D', 'R', 'C'] as const).every((letter) => isNumber(params?.[letter])) &&
        typeof params?.causal === 'boolean',
      `row ${n} (${name}) lacks letters`,
    );
    check(
      (['median', 'min', 'max', 'n'] as const).every((key) => isNumber(ms?.[key])),
      `row ${n} (${name}) lacks times`,
    );
  }
  for (const { name, variant, gflops, share, against, extrapolated } of found?.rows ?? []) {
    check(variant === 'plain' || variant === 'best', `${name} has the variant ${variant}`);
    check(isNumber(gflops) && isNumber(share), `${name} has no rate`);
    check(Object.values(against ?? { none: undefined }).every(isNumber), `${name} has no ratios`);
    check(
      Array.isArray(extrapolated) && extrapolated.every((other) => other in against),
      `${name} extrapolates what it is not compared with`,
    );
  }
  return faults;
}
