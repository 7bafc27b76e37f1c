/** What a profile is made of: the times of passes, by kernel, as a table. Pure. */
import { type Ceilings, shareOfCeiling, type Timed } from './ceilings.js';
import type { KernelName } from './kernels.js';

/** How long one dispatch of one of this package's kernels took on the GPU, and the work it was. */
export interface PassTime extends Timed {
  /** The kernel, by its file below `kernels/`. */
  readonly kernel: KernelName;
}

/** All dispatches of one kernel in a call. */
export interface KernelTime extends PassTime {
  /** How often it was launched. */
  readonly dispatches: number;
  /** 10⁹ operations by the second. */
  readonly gflops: number;
  /** 10⁹ bytes by the second. */
  readonly gbps: number;
  /** Which ceiling of the device binds the kernel, where ceilings were measured. */
  readonly bound?: 'arithmetic' | 'memory';
  /** What share of that ceiling it reached. */
  readonly share?: number;
}

/** Passes by kernel, the slowest first. */
export function kernelTimes(passes: readonly PassTime[], ceilings?: Ceilings): KernelTime[] {
  const kernels = [...new Set(passes.map(({ kernel }) => kernel))].map((kernel): KernelTime => {
    const own = passes.filter((pass) => pass.kernel === kernel);
    const sum = (what: 'milliseconds' | 'operations' | 'bytes') =>
      own.reduce((total, pass) => total + pass[what], 0);
    const timed = { milliseconds: sum('milliseconds'), operations: sum('operations'), bytes: sum('bytes') };
    // A clock of a GPU may tick once in a while only.
    const seconds = Math.max(timed.milliseconds, 1e-6) / 1e3;
    return {
      ...{ kernel, dispatches: own.length, ...timed },
      gflops: timed.operations / seconds / 1e9,
      gbps: timed.bytes / seconds / 1e9,
      ...(ceilings && shareOfCeiling({ ...timed, milliseconds: seconds * 1e3 }, ceilings)),
    };
  });
  return kernels.sort((a, b) => b.milliseconds - a.milliseconds);
}

/** A profile as a table for people. */
export function profileTable({
  kernels,
  milliseconds,
  ceilings,
}: {
  readonly kernels: readonly KernelTime[];
  readonly milliseconds: number;
  readonly ceilings?: Ceilings;
}): string {
  const rows = kernels.map((kernel) => [
    kernel.kernel,
    String(kernel.dispatches),
    kernel.milliseconds.toFixed(2),
    percent(kernel.milliseconds / Math.max(milliseconds, 1e-6)),
    kernel.operations > 0 ? kernel.gflops.toFixed(2) : '',
    kernel.bytes > 0 ? kernel.gbps.toFixed(2) : '',
    kernel.share === undefined ? '' : `${percent(kernel.share)} of ${kernel.bound}`,
  ]);
  const head = ['kernel', 'dispatches', 'ms', 'time', 'GFLOP/s', 'GB/s', ceilings ? 'ceiling' : ''];
  const dispatches = kernels.reduce((sum, kernel) => sum + kernel.dispatches, 0);
  const lines = [head, ...rows, ['all', String(dispatches), milliseconds.toFixed(2), '', '', '', '']];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd(),
  );
  const most =
    ceilings && `ceilings: ${ceilings.gflops.toFixed(1)} GFLOP/s, ${ceilings.gbps.toFixed(2)} GB/s`;
  return [...text, ...(most ? [most] : [])].join('\n');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
