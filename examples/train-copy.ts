/** npm run train:copy: a language model of one layer learns to repeat what it has read, by LSH attention. */
import { writeFileSync } from 'node:fs';
import { type Command, HELP, parsedCommand } from './copy/command.js';
import { trainingPage } from './copy/picture.js';
import { named, PACE, progressLine } from './copy/run.js';
import { Trainer } from './copy/trainer.js';
import { say } from './output/terminal.js';
import { runCommand, trainToEnd } from './training/command.js';
import { useTrainingGPU } from './training/gpu.js';

await runCommand(parsedCommand, HELP, main);

/** @returns the exit code. */
async function main({ recipe, out, ...run }: Command): Promise<number> {
  const { description } = await useTrainingGPU();
  const w = recipe.length / 2 - 1;
  say(
    `0w0w, w of ${w} symbols out of ${recipe.vocabulary - 1}, attention ${named(recipe.attention)}, on ${description}`,
  );
  const trainer = new Trainer(recipe);
  const ended = await trainToEnd({
    ...{ ...run, trainer, ...PACE },
    line: (now) => progressLine(now, run.steps),
    draw: () => {
      writeFileSync(out, trainingPage(description, recipe, trainer.history));
      return out;
    },
  });
  if (ended !== undefined) {
    return ended;
  }
  const accuracy = await trainer.accuracy(recipe.attention, { batches: 1, hashes: 4 });
  say(
    `Trained for ${trainer.step} steps: ${(100 * accuracy).toFixed(1)} % of the second w is right. --steps with a larger number goes on.`,
  );
  return 0;
}
