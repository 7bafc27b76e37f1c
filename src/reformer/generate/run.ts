/** A generation on its way: what it was asked for, its cache, and the logits that come of more tokens. */
import type { KernelBackend, Tensor2D } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import type { Door } from '../../door.js';
import type { Call } from '../call.js';
import type { Rows } from '../inputs.js';
import { readCall } from '../options.js';
import type { Positions } from './localCache.js';
import { type DecodingModel, ModelCache } from './modelCache.js';
import { type GenerateOptions, type GenerateSettings, readGenerate } from './options.js';
import { type Prompts, padLeft, readPrompts } from './prompts.js';

/** A call, checked, and where it is. */
export interface Run {
  readonly door: Door;
  /** On which it began. */
  readonly backend: KernelBackend;
  readonly prompts: Prompts;
  readonly settings: GenerateSettings;
  readonly cache: ModelCache;
  readonly aborted: () => boolean;
  /** Called with how many tokens of the prompts are read, and how many are new. */
  readonly report: (readTokens: number, newTokens: number) => void;
}

/** Checks what a call is given. */
export async function open(
  door: Door,
  model: DecodingModel,
  ids: Rows,
  options: GenerateOptions,
): Promise<Run> {
  const { config } = model;
  const { mask, numHashes, rotations, hashSeed } = door.object('options', options);
  const [signal, onProgress] = [door.signal(options.signal), door.callback('onProgress', options.onProgress)];
  const prompts = await readPrompts(door, ids, mask, config.vocab_size);
  const promptTokens = Math.max(...prompts.map((prompt) => prompt.length));
  const settings = readGenerate(door, options, config, promptTokens);
  const hashing = {
    ...(numHashes !== undefined && { numHashes }),
    ...(rotations !== undefined && { rotations }),
    ...(hashSeed !== undefined && { seed: hashSeed }),
  };
  const { keepActivations: _, ...read } = readCall(door, { ...hashing, window: 'bucket' }, config, 0);
  const most = promptTokens + settings.maxNewTokens;
  const call: Call = { ...read, numBuckets: model.bucketsOf(most) };
  return {
    ...{ door, prompts, settings, backend: tf.backend() },
    cache: new ModelCache(model, call, most),
    aborted: () => signal?.aborted === true,
    report: (readTokens, newTokens) => onProgress?.({ promptTokens, readTokens, newTokens }),
  };
}

/** The prompts, a slice at a time, and the logits after them; none where the call is aborted. */
export async function readIn(run: Run): Promise<Float32Array[] | undefined> {
  const { ids, positions } = padLeft(run.prompts);
  const { sliceLength } = run.settings;
  const L = longest(ids);
  let logits: Float32Array[] | undefined;
  for (let first = 0; first < L; first += sliceLength) {
    const part = (rows: Positions) => rows.map((row) => row.slice(first, first + sliceLength));
    await othersTurn(run);
    if (run.aborted()) {
      return undefined;
    }
    logits = await rowsOf(run.cache.append(part(ids), part(positions)), run.door);
    run.report(Math.min(L, first + sliceLength), 0);
  }
  return logits;
}

/** The logits after one more token of each text; none where the call is aborted. */
export async function next(run: Run, tokens: readonly number[], places: readonly number[]) {
  await othersTurn(run);
  return run.aborted()
    ? undefined
    : await rowsOf(
        run.cache.append(
          tokens.map((token) => [token]),
          places.map((place) => [place]),
        ),
        run.door,
      );
}

/** Lets timers, signals and screens have their turn, which values that are at hand would not. */
async function othersTurn({ door, backend }: Run): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  door.goesOn(backend);
}

/** The values of a matrix by rows; the tensor is disposed. */
async function rowsOf(matrix: Tensor2D, door: Door): Promise<Float32Array[]> {
  const [rows, columns] = matrix.shape;
  try {
    const values = (await door.values(matrix)) as Float32Array;
    return Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns));
  } finally {
    matrix.dispose();
  }
}

/** The most numbers of a row. */
export function longest(rows: Positions): number {
  return Math.max(...rows.map((row) => row.length));
}
