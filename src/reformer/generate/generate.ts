import { Door } from '../../door.js';
import type { Rows } from '../inputs.js';
import { BeamSearch } from './beams.js';
import type { DecodingModel } from './modelCache.js';
import type { Ending, Generated, GenerateOptions, GenerateSettings } from './options.js';
import { longest, next, open, type Run, readIn } from './run.js';
import { draw, likeliest, logSoftmax, probabilities, randomNumber } from './sampling.js';

/** A new token of each prompt's text; undefined for one that has ended. */
export type GeneratedTokens = readonly (number | undefined)[];

/** A text as it grows. */
interface Text {
  readonly tokens: number[];
  logProbability: number;
  ending: Ending;
}

/** {@link Reformer.generate} */
export async function generate(
  model: DecodingModel,
  ids: Rows,
  options: GenerateOptions,
): Promise<Generated> {
  const run = await open(new Door('Reformer.generate'), model, ids, options);
  try {
    if (run.settings.numBeams > 1) {
      return await searchBeams(run);
    }
    const texts = sample(run);
    let step = await texts.next();
    while (!step.done) {
      step = await texts.next();
    }
    return step.value;
  } finally {
    run.cache.dispose();
  }
}

/** {@link Reformer.stream} */
export async function* stream(
  model: DecodingModel,
  ids: Rows,
  options: GenerateOptions,
): AsyncGenerator<GeneratedTokens, Generated, undefined> {
  const door = new Door('Reformer.stream');
  if ((door.object('options', options).numBeams ?? 1) !== 1) {
    throw door.range('`numBeams` must be 1: which beam is best is known at the end. Use generate().');
  }
  const run = await open(door, model, ids, options);
  try {
    return yield* sample(run);
  } finally {
    run.cache.dispose();
  }
}

/** Follows each prompt's text token by token. */
async function* sample(run: Run): AsyncGenerator<GeneratedTokens, Generated, undefined> {
  const { prompts, settings, cache } = run;
  const texts = prompts.map((): Text => ({ tokens: [], logProbability: 0, ending: 'aborted' }));
  let live = [...prompts.keys()];
  let logits = await readIn(run);
  while (logits !== undefined) {
    const chosen: (number | undefined)[] = prompts.map(() => undefined);
    const goingOn: number[] = [];
    for (const [row, b] of live.entries()) {
      chosen[b] = addToken(texts[b] as Text, logits[row] as Float32Array, b, settings);
      if ((texts[b] as Text).ending === 'aborted') {
        goingOn.push(row);
      }
    }
    run.report(longest(prompts), longest(texts.map(({ tokens }) => tokens)));
    yield chosen;
    if (goingOn.length === 0) {
      break;
    }
    if (goingOn.length < live.length) {
      cache.reorder(goingOn);
      live = goingOn.map((row) => live[row] as number);
    }
    const last = live.map((b) => (texts[b] as Text).tokens.at(-1) as number);
    const places = live.map((b) => (prompts[b]?.length ?? 0) + (texts[b] as Text).tokens.length - 1);
    logits = await next(run, last, places);
  }
  return generated(texts);
}

/** Chooses a text's next token, and says whether it is the last: the text is `'aborted'` as long as it is not. */
function addToken(text: Text, logits: Float32Array, b: number, settings: GenerateSettings): number {
  const { temperature, seed, stopTokens, maxNewTokens } = settings;
  const token =
    temperature === 0
      ? likeliest(logits)
      : draw(probabilities(logits, settings), randomNumber(seed, b, text.tokens.length));
  text.tokens.push(token);
  text.logProbability += logSoftmax(logits)[token] as number;
  if (stopTokens.has(token)) {
    text.ending = 'stop';
  } else if (text.tokens.length === maxNewTokens) {
    text.ending = 'length';
  }
  return token;
}

/** Follows the best texts of each prompt, side by side. */
async function searchBeams(run: Run): Promise<Generated> {
  const { prompts, settings, cache } = run;
  const searches = prompts.map(() => new BeamSearch(settings));
  let logits = await readIn(run);
  for (let count = 1; logits !== undefined; count++) {
    const from: number[] = [];
    const tokens: number[] = [];
    const places: number[] = [];
    let first = 0;
    for (const [b, search] of searches.entries()) {
      const { width } = search;
      for (const step of search.advance(logits.slice(first, first + width))) {
        from.push(first + step.from);
        tokens.push(step.token);
        places.push((prompts[b]?.length ?? 0) + count - 1);
      }
      first += width;
    }
    run.report(longest(prompts), count);
    if (from.length === 0) {
      break;
    }
    cache.reorder(from);
    logits = await next(run, tokens, places);
  }
  return generated(
    searches.map(({ best, width }) => ({
      tokens: [...best.tokens],
      logProbability: best.sum,
      ending: width > 0 ? 'aborted' : best.stopped ? 'stop' : 'length',
    })),
  );
}

function generated(texts: readonly Text[]): Generated {
  return {
    tokens: texts.map(({ tokens }) => tokens),
    endings: texts.map(({ ending }) => ending),
    logProbabilities: texts.map(({ logProbability }) => logProbability),
  };
}
