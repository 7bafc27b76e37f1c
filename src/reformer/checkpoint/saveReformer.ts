import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { Door, show } from '../../door.js';
import { encodeFloat16, FLOAT16_OVERFLOW } from '../../storage/float16.js';
import type { FolderTarget, NewFile } from '../../storage/folders/folder.js';
import { saveFiles } from '../../storage/folders/saveFiles.js';
import { byteCount, type Dtype, writeHeader } from '../../storage/header.js';
import { bytesOf } from '../../storage/safetensors.js';
import type { Reformer } from '../model.js';
import { configText } from './configText.js';
import { CONFIG, isOfWeights, shardName, WEIGHTS, WEIGHTS_INDEX } from './layout.js';

/** Options of {@link saveReformer}. */
export interface SaveReformerOptions {
  /**
   * What the weights are stored as. 16-bit floats take half the bytes and keep three digits: the model that is read from
   * them is another one, by as much.
   * @default 'float32'
   */
  readonly dtype?: 'float32' | 'float16';
  /**
   * Most bytes of weights in a file, unless one tensor has more; the weights go to as many files as are needed.
   * @default no limit: one file
   */
  readonly maxShardBytes?: number;
}

const NAMES: Record<keyof SaveReformerOptions, true> = { dtype: true, maxShardBytes: true };
const STORED = { float32: 'F32', float16: 'F16' } as const;
type StoredDtype = (typeof STORED)[keyof typeof STORED];

/**
 * Writes a model in Hugging Face's layout, which transformers reads too: `config.json`, `model.safetensors`, or shards of it
 * with `model.safetensors.index.json`. The same weights give the same bytes.
 *
 * In Node a folder is made where there is none; files are written beside those that they replace and renamed when all are
 * whole, so that an earlier model survives a failure. Weights of the earlier model in other files are removed then.
 *
 * @param target the path of a folder (in Node), or an object whose `write` takes each file as a `Blob`.
 * @throws RangeError for weights that are too large for 16-bit floats; Error where a file cannot be written.
 */
export async function saveReformer(
  model: Reformer,
  target: string | URL | FolderTarget,
  options: SaveReformerOptions = {},
): Promise<void> {
  const door = new Door('saveReformer');
  door.known(options, NAMES);
  const dtype = door.oneOf('dtype', options.dtype ?? 'float32', ['float32', 'float16']);
  const most = door.integer('maxShardBytes', options.maxShardBytes ?? Number.MAX_SAFE_INTEGER, 1);
  if (!(model?.weights instanceof Map)) {
    throw door.kind(`\`model\` must be a Reformer, got ${show(model)}.`);
  }
  // Training may go on meanwhile: a step gives a variable another tensor, and these stay.
  const weights = [...model.weights].map(([name, weight]) => ({ name, tensor: tf.keep(tf.clone(weight)) }));
  try {
    const shards = sharded(weights, STORED[dtype], most);
    const files = shards.map((shard, i): NewFile => {
      const name = shards.length === 1 ? WEIGHTS : shardName(i + 1, shards.length);
      return { name, content: weightsContent(shard, STORED[dtype], door) };
    });
    if (files.length > 1) {
      files.push({ name: WEIGHTS_INDEX, content: [utf8(indexText(shards, files, STORED[dtype]))] });
    }
    files.push({ name: CONFIG, content: [utf8(configText(model.config, dtype))] });
    await saveFiles(target, files, isOfWeights, door);
  } finally {
    tf.dispose(weights.map(({ tensor }) => tensor));
  }
}

interface Weight {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Weights by name, cut where the next one would be too much. */
function sharded(weights: readonly Weight[], dtype: Dtype, most: number): Weight[][] {
  const shards: Weight[][] = [[]];
  let bytes = 0;
  for (const weight of [...weights].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const more = byteCount(dtype, weight.tensor.shape);
    if (bytes > 0 && bytes + more > most) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push(weight);
    bytes += more;
  }
  return shards;
}

/** A file of weights, one weight after the other. */
async function* weightsContent(
  weights: readonly Weight[],
  dtype: StoredDtype,
  door: Door,
): NewFile['content'] {
  const described = weights.map(({ name, tensor: { shape } }) => [name, { dtype, shape }] as const);
  yield writeHeader(described, { format: 'pt' });
  for (const { name, tensor } of weights) {
    const values = (await door.values(tensor)) as Float32Array<ArrayBuffer>;
    const large = values.find((value) => Math.abs(value) >= FLOAT16_OVERFLOW && Number.isFinite(value));
    if (dtype === 'F16' && large !== undefined) {
      throw door.range(
        `\`dtype: 'float16'\` cannot hold ${large}, a weight of \`${name}\`: its numbers end at 65504. Save float32.`,
      );
    }
    yield bytesOf(dtype === 'F16' ? encodeFloat16(values) : values);
  }
}

/** Which file each weight is in, as transformers writes it. */
function indexText(shards: readonly Weight[][], files: readonly NewFile[], dtype: Dtype): string {
  const placed = shards.flatMap((shard, i) => shard.map(({ name }) => [name, files[i]?.name] as const));
  const sizes = shards.flat().map(({ tensor }) => byteCount(dtype, tensor.shape));
  const index = {
    metadata: { total_size: sizes.reduce((sum, size) => sum + size, 0) },
    weight_map: Object.fromEntries(placed),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
