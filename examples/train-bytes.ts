/** npm run train:bytes: a Reformer of eight layers learns the next byte of the State of the Union speeches. */
import { writeFileSync } from 'node:fs';
import { ByteTokenizer, saveReformer } from 'tfjs-lsh-attention/reformer';
import { useOwnDevice } from 'tfjs-lsh-attention/webgpu';
import { type Command, filesOf, HELP, parsedCommand } from './bytes/command.js';
import { type Corpus, piecesOf, readCorpus } from './bytes/corpus.js';
import { type Baselines, baselines } from './bytes/entropy.js';
import { comparison, curvesPage, named, progressLine, readResult, writeResult } from './bytes/report.js';
import { Trainer } from './bytes/trainer.js';
import { count } from './output/numbers.js';
import { say } from './output/terminal.js';
import { runCommand, trainToEnd } from './training/command.js';
import { useTrainingGPU } from './training/gpu.js';

/** When a run reports, and when it is saved, in steps. */
const PACE = { reportEvery: 25, saveEvery: 25 };
/** Held-out pieces that results are of. */
const PIECES = 16;
/** Bytes of held-out text that a sample goes on from. */
const PROMPT = 200;

await runCommand(parsedCommand, HELP, main);

/** @returns the exit code. */
async function main(command: Command): Promise<number> {
  const { recipe, steps, seconds, fresh, out } = command;
  const { description } = await useTrainingGPU();
  await useOwnDevice(); // for the attention kernels' faster variants
  const corpus = readCorpus();
  const trainer = new Trainer(recipe, corpus);
  say(
    `${count(corpus.training.length)} bytes of speeches, ${recipe.length} at a time; ${recipe.layers} layers, local and ${named(recipe)} by turns, on ${description}`,
  );
  const pieces = piecesOf(corpus.heldOut, recipe.length, PIECES);
  const simpler = baselines(corpus.training, pieces);
  const ended = await trainToEnd({
    ...{ trainer, steps, seconds, fresh, path: filesOf(command).checkpoint, ...PACE },
    line: (now) => progressLine(now, steps, recipe),
    draw: () => {
      writeFileSync(out, curvesPage(description, recipe, trainer.history, simpler));
      return out;
    },
  });
  if (ended !== undefined) {
    return ended;
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
