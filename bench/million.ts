/**
 * npm run gpu -- bench/million.ts [vectors] [queries]: a BinaryIndex of a million vectors of 128 16-bit floats on the GPU.
 * Builds, asks 64 queries that lie beside known vectors, and says whether they were found.
 */
import * as tf from '@tensorflow/tfjs-core';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { BinaryIndex } from 'tfjs-lsh-attention/search';
import { count, significant } from '../examples/output/numbers.js';
import { say } from '../examples/output/terminal.js';

await useWebGPU();
const D = 128;
const [n, asked] = [Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 64)];

let state = 7;
const next = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
};
const rows = new Float32Array(n * D);
for (let i = 0; i < rows.length; i++) {
  rows[i] = next();
}
const wanted = Int32Array.from({ length: asked }, (_, i) => Math.floor((i * n) / asked));
const queries = Float32Array.from(
  { length: asked * D },
  (_, i) => (rows[(wanted[Math.floor(i / D)] as number) * D + (i % D)] as number) + 0.2 * next(),
);

const index = new BinaryIndex({ D, storage: 'float16' });
let start = performance.now();
await index.build(rows);
say(`${tf.getBackend()}: ${count(n)} × ${D} float16 built in ${seconds()} s`);
for (const run of ['first', 'second']) {
  start = performance.now();
  const { ids, k } = await index.query(queries, { k: 10 });
  const found = wanted.filter((id, i) => ids[i * k] === id).length;
  say(`${run} batch of ${asked} queries: ${seconds()} s, ${found} of ${asked} found`);
  if (found < asked) {
    process.exitCode = 1;
  }
}
const { bytes } = index.stats();
say(`${count(Math.round(bytes / n))} bytes a vector; ${count(tf.memory().numBytes)} bytes in tensors`);
index.dispose();
// Devices live as long as the process: it would wait for them.
process.exit();

function seconds(): string {
  return significant((performance.now() - start) / 1000);
}
