/** npm run train:copy: a language model of one layer learns to repeat what it has read, by LSH attention. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { type Command, HELP, parsedCommand } from './copy/command.js';
import { trainingPage } from './copy/picture.js';
import { named, PACE, progressLine } from './copy/run.js';
import { Trainer } from './copy/trainer.js';
import { say } from './output/terminal.js';
import { useTrainingGPU } from './training/gpu.js';
import { interruption, train } from './training/loop.js';

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
async function main({ recipe, steps, seconds, fresh, path, out }: Command): Promise<number> {
  const interrupted = interruption();
  const { description } = await useTrainingGPU();
  const w = recipe.length / 2 - 1;
  say(
    `0w0w, w of ${w} symbols out of ${recipe.vocabulary - 1}, attention ${named(recipe.attention)}, on ${description}`,
  );
  const shown = (file: string) => relative(process.cwd(), file) || file;
  const started = performance.now();
  const trainer = await train({
    ...{ trainer: new Trainer(recipe), steps, path, fresh, ...PACE },
    stopped: () => interrupted.asked || performance.now() - started >= 1000 * seconds,
    resumed: (step) => say(`going on from step ${step}, in ${shown(path)}; --fresh starts over`),
    report: (now) => say(progressLine(now, steps)),
  });
  const { step, history } = trainer;
  if (step === 0) {
    say('Stopped before the first step: nothing to save.');
    return interrupted.asked ? 130 : 0;
  }
  writeFileSync(out, trainingPage(description, recipe, history));
  say(`Saved ${shown(path)}, drew ${shown(out)}.`);
  if (step < steps) {
    say(`Stopped after step ${step} of ${steps}. The same command goes on from there; --fresh starts over.`);
    return interrupted.asked ? 130 : 0;
  }
  const accuracy = await trainer.accuracy(recipe.attention, { batches: 1, hashes: 4 });
  say(
    `Trained for ${step} steps: ${(100 * accuracy).toFixed(1)} % of the second w is right. --steps with a larger number goes on.`,
  );
  return 0;
}
