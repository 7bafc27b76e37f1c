/**
 * Attention as a memory: predicts words of the State of the Union speeches from earlier places with
 * the same words before them, with dense and with LSH attention, at growing lengths.
 */
import { writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { count, seconds } from '../output/numbers.js';
import { progress, say } from '../output/terminal.js';
import { type Corpus, FIRST_YEAR, LAST_YEAR, quote, readCorpus, speechAt } from './corpus.js';
import { Ladder, QUESTIONS } from './ladder.js';
import { CONTEXT, D, E } from './memory.js';
import { findQuotations, type Quotation, type Quotations } from './quotations.js';
import { reportPage } from './report.js';
import { QUOTED, QUOTED_ROUNDS } from './result.js';
import { aligned, atLeast, COLUMNS, cells, exactCells, hasDense } from './text.js';

const HELP = `npm start -- [--seconds N] [--out FILE] [--until YEAR]
  --seconds N  how long to climb, about; longer reaches longer memories (default 130)
  --out FILE   where to write the report (default report.html)
  --until YEAR the last speech to read, the one that questions are about (default 1860)
LSH_ADAPTER=gpu|lavapipe|swiftshader chooses the adapter. Ctrl-C ends after the step at hand, with a report.`;

const QUOTATIONS = 4;
const LONG_SECONDS = 10;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '130' },
    out: { type: 'string', default: 'report.html' },
    // Before the Civil War: messages were written then, and repeat themselves more than later, spoken ones.
    until: { type: 'string', default: '1860' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(HELP);
} else {
  const complaint = complaintAbout(Number(options.seconds), Number(options.until));
  if (complaint === undefined) {
    const out = resolve(process.env.INIT_CWD ?? '.', options.out);
    process.exitCode = await main(Number(options.seconds), Number(options.until), out);
  } else {
    console.error(`${complaint}\n${HELP}`);
    process.exitCode = 1;
  }
}

function complaintAbout(budget: number, until: number): string | undefined {
  if (!(budget > 0)) {
    return `--seconds must be a number above 0, got '${options.seconds}'.`;
  }
  // The first speech alone is shorter than the shortest memory.
  if (!(Number.isInteger(until) && until > FIRST_YEAR && until <= LAST_YEAR)) {
    return `--until must be a year from ${FIRST_YEAR + 1} to ${LAST_YEAR}, got '${options.until}'.`;
  }
  return undefined;
}

/** @returns the exit code. */
async function main(budget: number, until: number, out: string): Promise<number> {
  let interrupted = false;
  process.once('SIGINT', () => {
    interrupted = true;
    progress('stopping after this step; Ctrl-C again ends at once');
  });
  progress('reading the speeches');
  const { description, kind } = await useWebGPU();
  const corpus = readCorpus(until);
  const last = corpus.speeches.at(-1);
  say(`Attention as a memory, on ${description}

${count(corpus.speeches.length)} State of the Union speeches, ${FIRST_YEAR}–${last?.year}: ${count(corpus.words.length)} words, ${count(corpus.vocabulary.length)} different.
Each place in the text has a random vector made of its last ${CONTEXT} words (D = ${D}), and remembers the
word that follows (E = ${E}). Nothing is trained: attention looks for earlier places like the present
one, and answers with what followed there. Every second word of the last ${count(2 * QUESTIONS)} is asked for,
${QUESTIONS} in all, the same at every length. A longer memory reaches further back.

time       of one call, until its result can be read
speed-up   against dense; “~” where dense was not run: against its last time, fourfold a doubling
right      share of predictions that are the next word
error      mean distance from exact attention, where a value has length 1
mass seen  share of dense attention's weight on the words that LSH saw
peak GPU   most bytes of GPU buffers in use, inputs and outputs included`);

  const ladder = new Ladder(corpus, kind !== 'gpu', budget * 1000, () => interrupted, {
    step({ length }) {
      const { year, name } = speechAt(corpus, corpus.words.length - 1 - length);
      say(`\n${count(length)} words, back to ${name} ${year}\n${aligned(COLUMNS)}`);
    },
    busy(what, expected) {
      // A log need not hear of what is over in a moment.
      if (process.stderr.isTTY || expected === undefined || expected >= LONG_SECONDS) {
        progress(expected ? `${what}, about ${seconds(expected)}` : what);
      }
    },
    result(result, step) {
      if (result === step.results[0] && !hasDense(step)) {
        say(aligned(exactCells(step)));
      }
      say(aligned(cells(result, ladder.last('dense'))));
    },
    stopped(reason) {
      say(reason);
    },
  });
  await ladder.climb();

  const steps = ladder.steps.filter(({ results }) => results.length > 0);
  const quoted = steps.filter(({ results }) => results.some(({ method }) => method === QUOTED)).at(-1);
  let quotations: Quotations | undefined;
  if (quoted !== undefined && !interrupted) {
    progress('looking for quotations');
    quotations = await findQuotations(corpus, quoted.length, QUOTATIONS);
    const { asked, found, chosen } = quotations;
    say(`\nOf the last ${count(asked)} words of ${count(quoted.length)}, LSH with ${QUOTED_ROUNDS} rounds took ${found === 0 ? 'none' : count(found)} rightly from a single place, thousands of
words back, with the same words before it.${chosen.length > 0 ? ' Some of them:' : ''}`);
    for (const quotation of chosen) {
      say(`\n${inWords(corpus, quotation)}`);
    }
  }
  if (steps.length === 0) {
    say('Nothing was measured, so there is no report. Try a larger --seconds.');
    return interrupted ? 130 : 1;
  }
  writeFileSync(out, reportPage({ description, corpus, steps, quotations: quotations?.chosen ?? [] }));
  say(
    `\n${interrupted ? 'Stopped. ' : ''}Wrote ${relative(process.cwd(), out) || out} after ${seconds(performance.now() / 1000)}.`,
  );
  return interrupted ? 130 : 0;
}

function inWords(corpus: Corpus, { asked, found, share, matching }: Quotation): string {
  const { name, year } = speechAt(corpus, found);
  const shown = 9;
  return `  asked    … ${quote(corpus, asked + 1 - shown, asked + 1)} ___
  found    … ${quote(corpus, found + 1 - shown, found + 1)} [${quote(corpus, found + 1, found + 2)}]
           ${count(asked - found)} words earlier, in ${name} ${year}: ${matching}${matching === 8 ? ' or more' : ''} equal words, ${atLeast(share)} of the attention
  answer   ${quote(corpus, found + 1, found + 2)}, which is right`;
}
