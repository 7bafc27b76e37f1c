/** npm run train:bytes: a Reformer of eight layers learns the next byte of the State of the Union speeches. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { ByteTokenizer, saveReformer } from 'tfjs-lsh-attention/reformer';
import { useOwnDevice } from 'tfjs-lsh-attention/webgpu';
import { type Command, filesOf, HELP, parsedCommand } from './bytes/command.js';
import { type Corpus, piecesOf, readCorpus } from './bytes/corpus.js';
import { type Baselines, baselines } from './bytes/entropy.js';
import { comparison, curvesPage, named, progressLine, readResult, writeResult } from './bytes/report.js';
import { Trainer } from './bytes/trainer.js';
import { count } from './output/numbers.js';
import { say } from './output/terminal.js';
import { useTrainingGPU } from './training/gpu.js';
import { interruption, train } from './training/loop.js';

/** When a run reports, and when it is saved, in steps. */
const PACE = { reportEvery: 25, saveEvery: 25 };
/** Held-out pieces that results are of. */
const PIECES = 16;
/** Bytes of held-out text that a sample goes on from. */
const PROMPT = 200;

try {
  const command = parsedCommand(process.argv.slice(2));
  if (command === undefined) {
    console.log(HELP);
  } else {
    process.exitCode = await main(command);
  }
} catch (error) {
  const { name, message } = error as Error;
  const asked = name === 'RangeError' || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(asked ? `${message}\n${HELP}` : message);
  process.exitCode = 1;
}

/** @returns the exit code. */
async function main(command: Command): Promise<number> {
  const { recipe, steps, seconds, fresh, out } = command;
  const files = filesOf(command);
  const interrupted = interruption();
  const { description } = await useTrainingGPU();
  await useOwnDevice(); // for the attention kernels' faster variants
  const corpus = readCorpus();
  const trainer = new Trainer(recipe, corpus);
  say(
    `${count(corpus.training.length)} bytes of speeches, ${recipe.length} at a time; ${recipe.layers} layers, local and ${named(recipe)} by turns, on ${description}`,
  );
  const shown = (file: string) => relative(process.cwd(), file) || file;
  const started = performance.now();
  await train({
    ...{ trainer, steps, path: files.checkpoint, fresh, ...PACE },
    stopped: () => interrupted.asked || performance.now() - started >= 1000 * seconds,
    resumed: (step) => say(`going on from step ${step}, in ${shown(files.checkpoint)}; --fresh starts over`),
    report: (now) => say(progressLine(now, steps, recipe)),
  });
  const { step } = trainer;
  if (step === 0) {
    say('Stopped before the first step: nothing to save.');
    return interrupted.asked ? 130 : 0;
  }
  const pieces = piecesOf(corpus.heldOut, recipe.length, PIECES);
  const simpler = baselines(corpus.training, pieces);
  writeFileSync(out, curvesPage(description, recipe, trainer.history, simpler));
  say(`Saved ${shown(files.checkpoint)}, drew ${shown(out)}.`);
  if (step < steps) {
    say(`Stopped after step ${step} of ${steps}. The same command goes on from there; --fresh starts over.`);
    return interrupted.asked ? 130 : 0;
  }
  await finish(command, trainer, pieces, simpler);
  await sample(command, trainer, corpus);
  return 0;
}

/** Says what the model has come to, and saves it for loadReformer and transformers. */
async function finish(
  command: Command,
  trainer: Trainer,
  pieces: readonly Uint8Array[],
  simpler: Baselines,
): Promise<void> {
  const { recipe, steps } = command;
  const files = filesOf(command);
  const result = { recipe, steps, bits: await trainer.heldOut(pieces) };
  await saveReformer(trainer.model, files.model);
  writeResult(files.result, result);
  say(
    `Trained for ${steps} steps, ${count(steps * recipe.batch * recipe.length)} bytes. Bits per byte of ${pieces.length} held-out pieces:`,
  );
  say(comparison(result, readResult(files.otherResult, result), simpler));
}

/** Goes on with a speech that was not trained on. */
async function sample({ recipe, sample: bytes }: Command, { model }: Trainer, corpus: Corpus): Promise<void> {
  const maxNewTokens = Math.min(bytes, recipe.length - 1);
  if (maxNewTokens === 0) {
    return;
  }
  const tokenizer = new ByteTokenizer();
  const prompt = tokenizer.encode(corpus.heldOut.subarray(0, Math.min(PROMPT, recipe.length - maxNewTokens)));
  say(`A sample, after the first ${prompt.length} bytes of a speech:\n`);
  process.stdout.write(`${tokenizer.decode(prompt)}|`);
  const text = tokenizer.stream();
  const options = { maxNewTokens, temperature: 0.8, seed: recipe.seed };
  for await (const [token] of model.stream([prompt], options)) {
    process.stdout.write(text.push(token as number));
  }
  say(text.end());
}
