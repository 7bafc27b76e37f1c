/** Findings as Markdown. Pure. */
import type { Findings } from './findings.js';
import { sectionsOf } from './sections.js';

export const EXPLANATIONS = [
  'Times are of the clock around a call and a read of one number, on inputs that take turns; of kernels, by timestamps on the GPU. All entrants of a case run in turns.',
  'GFLOP/s are useful operations over time; “of ceiling” is the share of what the adapter can do at most, by operations or by bytes, whichever binds.',
  '“error” is the largest difference from float64 over the largest value, in a sample of rows; with training also that of the gradients, at a short length.',
  '“× name” is the other’s time over ours; “~” where the other would take too long and its time is extrapolated by L².',
  'best: an own device with all that the adapter offers; plain: the device that tfjs makes.',
];

export function markdown(findings: Findings): string {
  const { adapter, date, ceilings, peers } = findings;
  const left = leftOut(findings);
  const sections = sectionsOf(findings);
  const blocks = sections.flatMap(({ title, columns, rows, lines }) => [
    `## ${title}`,
    [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n'),
    ...(lines.length > 0 ? [lines.map((text) => `- ${text}`).join('\n')] : []),
  ]);
  const libraries = peers.map(
    ({ name, version, absent }) => `- ${name} ${version ?? `is absent: ${absent}`}`,
  );
  return `${[
    `# Bench on ${adapter}, ${date}`,
    `Ceilings: ${ceilings.gflops.toFixed(1)} GFLOP/s, ${ceilings.gbps.toFixed(2)} GB/s.`,
    ...(libraries.length > 0 ? [libraries.join('\n')] : []),
    ...blocks,
    ...(left.length > 0 ? [`## left out\n\n${left.map((note) => `- ${note}`).join('\n')}`] : []),
    EXPLANATIONS.map((text) => `- ${text}`).join('\n'),
  ].join('\n\n')}\n`;
}

/** What was left out, and why. */
export function leftOut({ notes, unfinished }: Findings): string[] {
  return [...notes, ...unfinished.map((one) => `${one} was stopped: its rows are of fewer runs.`)];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
