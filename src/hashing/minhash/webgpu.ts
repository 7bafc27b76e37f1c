/** Signatures of many sets on the GPU, by kernels/hash/minhash.wgsl. */
import * as tf from '@tensorflow/tfjs-core';
import minhash from '../../../kernels/hash/minhash.wgsl?raw';
import type { Door } from '../../door.js';
import type { Program } from '../../webgpu/program.js';
import { runProgram } from '../../webgpu/program.js';
import { type HashFunctions, type MinHashScheme, SCHEMES } from './schemes.js';

export const minhashKernels = { 'hash/minhash': minhash };

/** Words that a workgroup walks over: longer sets are cut into pieces, which keep the device busy. */
const PIECE = 2 ** 13;
/** Most words and most numbers of signatures of a submission: 16 MiB each, well below any device's binding. */
const BATCH = 2 ** 22;
const LANES = 64;
/** Integer operations of a hash and of its comparison with the least one. */
const OPERATIONS: Readonly<Record<MinHashScheme, number>> = { fmix32: 10, datasketch: 33, 'csharp-fnv': 2 };

/** A run of a set's words. */
interface Piece {
  readonly set: number;
  readonly words: Uint32Array;
}

/** Signatures `[n, k]`. */
export async function signaturesOnWebGPU(
  sets: readonly Uint32Array[],
  functions: HashFunctions,
  door: Door,
): Promise<Uint32Array> {
  door.device(); // refuses a lost one
  const { k } = functions;
  const signatures = new Uint32Array(sets.length * k).fill(0xffffffff);
  for (const batch of batchesOf(sets.flatMap(piecesOf), k)) {
    const minima = await runBatch(batch, functions, door);
    for (const [i, { set }] of batch.entries()) {
      for (let j = 0; j < k; j++) {
        const at = set * k + j;
        signatures[at] = Math.min(signatures[at] as number, minima[i * k + j] as number);
      }
    }
  }
  return signatures;
}

function piecesOf(words: Uint32Array, set: number): Piece[] {
  return Array.from({ length: Math.ceil(words.length / PIECE) }, (_, i) => ({
    set,
    words: words.subarray(i * PIECE, (i + 1) * PIECE),
  }));
}

function* batchesOf(pieces: readonly Piece[], k: number): Generator<readonly Piece[]> {
  const most = Math.max(1, Math.floor(BATCH / Math.max(k, PIECE)));
  for (let first = 0; first < pieces.length; first += most) {
    yield pieces.slice(first, first + most);
  }
}

async function runBatch(
  pieces: readonly Piece[],
  functions: HashFunctions,
  door: Door,
): Promise<Uint32Array> {
  const offsets = new Int32Array(pieces.length + 1);
  for (const [i, { words }] of pieces.entries()) {
    offsets[i + 1] = (offsets[i] as number) + words.length;
  }
  const all = new Int32Array(offsets[pieces.length] as number);
  for (const [i, { words }] of pieces.entries()) {
    all.set(words, offsets[i]);
  }
  const signatures = tf.tidy(() => {
    const inputs = {
      words: tf.tensor1d(all, 'int32'),
      offsets: tf.tensor1d(offsets, 'int32'),
      constants: tf.tensor1d(new Int32Array(functions.constants), 'int32'),
    };
    return runProgram('MinHash', minHashProgram(pieces.length, all.length, functions), inputs, {
      door,
    })[0] as tf.Tensor;
  });
  try {
    return new Uint32Array((await door.values(signatures)) as Int32Array);
  } finally {
    signatures.dispose();
  }
}

/** The dispatch for `n` sets of so many words together. Pure. */
export function minHashProgram(
  n: number,
  words: number,
  { k, scheme }: Pick<HashFunctions, 'k' | 'scheme'>,
): Program {
  const tiles = Math.ceil(k / LANES);
  return {
    kernels: minhashKernels,
    key: `minhash:${n},${words},${k},${scheme}`,
    outputs: { signatures: { shape: [n, k], dtype: 'int32' } },
    scratch: {},
    batches: [
      {
        parts: {},
        passes: [
          {
            kernel: 'hash/minhash',
            constants: { SCHEME: SCHEMES.indexOf(scheme) },
            sizes: {},
            params: { k, tiles },
            aliases: {},
            workgroups: n * tiles,
            operations: OPERATIONS[scheme] * words * k,
            // Words, where sets begin, constants of four words, and signatures.
            bytes: 4 * (words + n + 1 + 4 * k + n * k),
          },
        ],
      },
    ],
  };
}
