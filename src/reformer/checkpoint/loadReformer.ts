import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door } from '../../door.js';
import { type FolderSource, type OpenFolder, openFolder } from '../../storage/folders/openFolder.js';
import { readJson } from '../../storage/folders/readJson.js';
import type { Entry } from '../../storage/header.js';
import { decodeFloats, isFloat } from '../../storage/safetensors.js';
import { readConfig } from '../config.js';
import { Reformer } from '../model.js';
import { parameterShapes } from '../parameters.js';
import { BIAS_AGAIN } from '../variables.js';
import { findWeights, readContents, type WeightsFile } from './contents.js';
import { CONFIG } from './layout.js';
import { matchParameters } from './match.js';
import { type LoadProgress, Progress } from './progress.js';

/** Options of {@link loadReformer}. */
export interface LoadReformerOptions {
  /** Called as the weights come in. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Stops the loading, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const NAMES: Record<keyof LoadReformerOptions, true> = { onProgress: true, signal: true };
/** Bytes that are read at a time, unless a tensor has more. */
const GROUP_BYTES = 2 ** 24;

/**
 * Opens a model in Hugging Face's layout: `config.json`, and `model.safetensors` or its shards with
 * `model.safetensors.index.json`. Weights in 16-bit floats become float32.
 *
 * All files are looked at before any weights are read: what is truncated, damaged, missing, superfluous or of another shape
 * is refused before anything is put on the device, and a call that fails leaves nothing there. From a server, parts of
 * files are asked for by HTTP ranges; from one that knows none, whole files are downloaded first.
 *
 * @param source the path of a folder (in Node), its URL, the files of a picker, or an object that reads files.
 * @returns the model, on the current backend; the caller's to dispose.
 * @throws Error for files that are missing, unreadable, damaged or not of the configuration's model; RangeError or
 * TypeError for a configuration that no Reformer can have.
 */
export async function loadReformer(
  source: FolderSource,
  options: LoadReformerOptions = {},
): Promise<Reformer> {
  const door = new Door('loadReformer');
  door.known(options, NAMES);
  const progress = new Progress(door.callback('onProgress', options.onProgress));
  const folder = openFolder(source, door, { onBytes: progress.add, signal: door.signal(options.signal) });

  const json = await readJson(folder, CONFIG, door);
  if (typeof json !== 'object' || json === null) {
    throw door.failure(
      `there is no ${CONFIG} with an object in ${folder.place}. Give the folder of a model.`,
    );
  }
  const shapes = parameterShapes(readConfig(json));
  const sizes = await findWeights(folder, door);
  progress.begin(sizes);
  const files = await readContents(folder, sizes, door);
  const parameters = matchParameters(files, shapes, folder.place, door);

  const weights = new Map<string, Tensor>();
  try {
    for (const file of files) {
      await readWeights(folder, file, parameters, weights);
    }
    // The bias's other name tells that it is added to the logits, unless the configuration tells.
    return new Reformer(parameters.has(BIAS_AGAIN) ? { lm_head_bias: true, ...json } : json, { weights });
  } finally {
    tf.dispose([...weights.values()]);
  }
}

/** Adds the tensors of a file that are parameters to `weights`. */
async function readWeights(
  folder: OpenFolder,
  { name: file, entries }: WeightsFile,
  parameters: ReadonlyMap<string, string>,
  weights: Map<string, Tensor>,
): Promise<void> {
  for (const group of grouped([...entries])) {
    const [first, last] = [group[0], group.at(-1)] as [Named, Named];
    const bytes = await folder.read(file, first[1].start, last[1].end);
    for (const [name, { dtype, shape, start, end }] of group) {
      const parameter = parameters.get(name);
      if (parameter !== undefined && !weights.has(parameter) && isFloat(dtype)) {
        const values = decodeFloats(dtype, bytes.subarray(start - first[1].start, end - first[1].start));
        weights.set(parameter, tf.tensor(values, [...shape], 'float32'));
      }
    }
  }
}

type Named = readonly [string, Entry];

/** Neighbours that are read together. */
function grouped(entries: readonly Named[]): Named[][] {
  const groups: Named[][] = [];
  let start = Number.NEGATIVE_INFINITY;
  for (const named of entries) {
    if (named[1].end - start > GROUP_BYTES) {
      groups.push([]);
      start = named[1].start;
    }
    groups.at(-1)?.push(named);
  }
  return groups;
}
