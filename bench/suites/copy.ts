/** The suite `copy`: Table 2 of the Reformer paper (arXiv 2001.04451), at a size for a processor. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Attention } from '../../examples/copy/model.js';
import { DEFAULT_RECIPE, named, PACE, progressLine } from '../../examples/copy/run.js';
import { type Recipe, Trainer } from '../../examples/copy/trainer.js';
import { percent } from '../../examples/output/numbers.js';
import { progress, say } from '../../examples/output/terminal.js';
import { useTrainingGPU } from '../../examples/training/gpu.js';
import { interruption, train } from '../../examples/training/loop.js';
import type { BenchOptions } from '../options.js';

const TRAINED: readonly Attention[] = ['dense', 4, 2, 1];
const EVALUATED: readonly Attention[] = ['dense', 8, 4, 2, 1];

/** The paper's accuracies in percent, in the order of TRAINED and EVALUATED. */
const PAPER = [
  [100, 94.8, 92.5, 76.9, 52.5],
  [0.8, 100, 99.9, 99.4, 91.9],
  [0.8, 100, 99.9, 98.1, 86.8],
  [0.8, 99.9, 99.6, 94.8, 77.9],
] as const;

/** For an accuracy: draws of the rotations, and batches of 32 sequences for each. */
const SAMPLE = { hashes: 8, batches: 1 };
const DENSE_SAMPLE = { hashes: 1, batches: 8 };

/** What it takes of the bench's options. */
type CopyOptions = Pick<BenchOptions, 'steps' | 'fresh' | 'json' | 'markdown'>;

interface Row {
  readonly trained: string;
  /** Shares, by what they were evaluated with. */
  readonly accuracy: Readonly<Record<string, number>>;
  readonly paper: Readonly<Record<string, number>>;
}

interface Findings {
  readonly adapter: string;
  readonly date: string;
  readonly steps: number;
  readonly recipe: Omit<Recipe, 'attention'>;
  readonly rows: readonly Row[];
}

/** @returns the exit code. */
export async function benchCopy(options: CopyOptions): Promise<number> {
  const { steps } = options;
  const interrupted = interruption();
  const { description } = await useTrainingGPU();
  const rows: Row[] = [];
  for (const [n, attention] of TRAINED.entries()) {
    const name = named(attention);
    const trainer = await train({
      ...PACE,
      trainer: new Trainer({ ...DEFAULT_RECIPE, attention }),
      steps,
      path: resolve(`checkpoints/bench/${name}.safetensors`),
      fresh: options.fresh,
      stopped: () => interrupted.asked,
      resumed: (step) => progress(`${name}: going on from step ${step}`),
      report: (now) => progress(`trained with ${name}: ${progressLine(now, steps)}`),
    });
    const accuracy: Record<string, number> = {};
    const paper: Record<string, number> = {};
    for (const [m, other] of EVALUATED.entries()) {
      if (interrupted.asked) {
        say('Stopped. The same command goes on from here, without --fresh.');
        return 130;
      }
      accuracy[named(other)] = await trainer.accuracy(other, other === 'dense' ? DENSE_SAMPLE : SAMPLE);
      paper[named(other)] = PAPER[n]?.[m] as number;
    }
    trainer.dispose();
    rows.push({ trained: name, accuracy, paper });
    say(line(rows.at(-1) as Row));
  }
  const date = new Date().toISOString().slice(0, 10);
  const findings: Findings = { adapter: description, date, steps, recipe: DEFAULT_RECIPE, rows };
  say(`\n${markdown(findings)}`);
  write(options.json, `${JSON.stringify(findings, null, 2)}\n`);
  write(options.markdown, markdown(findings));
  return 0;
}

function write(path: string | undefined, text: string): void {
  if (path !== undefined) {
    writeFileSync(resolve(process.env.INIT_CWD ?? '.', path), text);
    say(`written: ${path}`);
  }
}

function line({ trained, accuracy }: Row): string {
  const cells = Object.entries(accuracy).map(([name, share]) => `${name} ${percent(share)}`);
  return `trained with ${trained}, evaluated with ${cells.join(', ')}`;
}

function markdown({ adapter, date, steps, recipe, rows }: Findings): string {
  const { length, vocabulary, width, heads, hidden, chunkLength, batch } = recipe;
  const names = EVALUATED.map(named);
  return `# The duplication task: trained with one attention, evaluated with another

\`npm run bench -- --suite copy\` on ${adapter}, ${date}.

0w0w, w of ${length / 2 - 1} symbols out of ${vocabulary - 1} (L = ${length}), one layer, width ${width}, ${heads} ${heads === 1 ? 'head' : 'heads'}, feed-forward ${hidden}, chunks of
${chunkLength}, ${steps} steps of ${batch} sequences. Accuracy on the second w in percent, of ${SAMPLE.hashes * SAMPLE.batches * 32} sequences that were not trained on, over
${SAMPLE.hashes} draws of the rotations; in brackets the paper's (arXiv 2001.04451, Table 2: L = 1024, width 256, 4 heads, 127
symbols, 150,000 steps).

| trained with | ${names.join(' | ')} |
|---|${names.map(() => '---|').join('')}
${rows
  .map(({ trained, accuracy, paper }) => {
    const cells = names.map((name) => `${(100 * (accuracy[name] as number)).toFixed(1)} (${paper[name]})`);
    return `| ${trained} | ${cells.join(' | ')} |`;
  })
  .join('\n')}
`;
}
