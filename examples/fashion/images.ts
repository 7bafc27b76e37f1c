/** Fashion-MNIST: 60,000 pictures of clothes, 28×28 grey dots, in ten kinds (Xiao, Rasul and Vollgraf 2017, MIT). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import split from './split.json' with { type: 'json' };

/** Where Debian's package puts it; FASHION_MNIST names another folder. */
const FOLDER = process.env.FASHION_MNIST ?? '/usr/share/datasets/fashion-mnist';
const IMAGES = join(FOLDER, 'train-images-idx3-ubyte.gz');
const LABELS = join(FOLDER, 'train-labels-idx1-ubyte.gz');
const IMAGE_HEADER = 16;
const LABEL_HEADER = 8;

export const DOTS = 784;

export const HOW_TO_GET =
  'Fashion-MNIST is not there. On Debian or Ubuntu: apt-get install dataset-fashion-mnist. Elsewhere: put its train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz (github.com/zalandoresearch/fashion-mnist) into a folder, and set FASHION_MNIST to it.';

/** Pictures as vectors, row after row, and their kinds. */
export interface Labelled {
  /** Of unit length. */
  readonly rows: Float32Array;
  /** The same less the mean of all pictures. */
  readonly centred: Float32Array;
  readonly labels: Uint8Array;
}

/** Three parts of the pictures. */
export interface Split {
  readonly queries: Labelled;
  readonly database: Labelled;
  readonly training: Labelled;
}

export function hasFashion(): boolean {
  return existsSync(IMAGES) && existsSync(LABELS);
}

/**
 * The dots of the 60,000 pictures for training, or of the 10,000 for testing, 0 to 255, picture after picture.
 *
 * @throws Error where the data is not there; says how to get it.
 */
export function readPictures(part: 'train' | 't10k'): Uint8Array {
  const file = join(FOLDER, `${part}-images-idx3-ubyte.gz`);
  if (!existsSync(file)) {
    throw new Error(HOW_TO_GET);
  }
  return gunzipSync(readFileSync(file)).subarray(IMAGE_HEADER);
}

/**
 * All pictures in the parts with which the figures beside ours were measured
 * (scikit-learn's `train_test_split` with random_state 42, twice; split.json lists the queries and training points).
 *
 * @throws Error where the data is not there; says how to get it.
 */
export function readFashion(): Split {
  const dots = readPictures('train');
  const labels = gunzipSync(readFileSync(LABELS)).subarray(LABEL_HEADER);
  const rows = unitRows(dots);
  const moved = centred(rows);
  const taken = new Set([...split.queries, ...split.training]);
  const others = Array.from(labels.keys()).filter((i) => !taken.has(i));
  const part = (indices: readonly number[]): Labelled => ({
    rows: gathered(rows, indices),
    centred: gathered(moved, indices),
    labels: Uint8Array.from(indices, (i) => labels[i] as number),
  });
  return { queries: part(split.queries), training: part(split.training), database: part(others) };
}

function unitRows(dots: Uint8Array): Float32Array {
  const rows = Float32Array.from(dots);
  for (let start = 0; start < rows.length; start += DOTS) {
    const row = rows.subarray(start, start + DOTS);
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    row.forEach((x, d) => {
      row[d] = x / length;
    });
  }
  return rows;
}

function centred(rows: Float32Array): Float32Array {
  const mean = new Float64Array(DOTS);
  const n = rows.length / DOTS;
  rows.forEach((x, i) => {
    mean[i % DOTS] = (mean[i % DOTS] as number) + x / n;
  });
  return rows.map((x, i) => x - (mean[i % DOTS] as number));
}

function gathered(rows: Float32Array, indices: readonly number[]): Float32Array {
  const part = new Float32Array(indices.length * DOTS);
  for (const [at, i] of indices.entries()) {
    part.set(rows.subarray(i * DOTS, (i + 1) * DOTS), at * DOTS);
  }
  return part;
}
