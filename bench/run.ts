/**
 * npm run bench -- [--lengths 1024,4096] [--heads 8] [--depth 64] [--hashes 4] [--chunk 64] [--causal]
 *                  [--rotation hadamard] [--runs 5] [--json FILE]
 *
 * Milliseconds and useful GFLOP/s of every kernel of a forward call, by timestamps on the GPU.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { measure } from './measure.js';
import { table } from './report.js';

const { values } = parseArgs({
  options: {
    lengths: { type: 'string', default: '1024,2048,4096,8192,16384' },
    heads: { type: 'string', default: '8' },
    depth: { type: 'string', default: '64' },
    hashes: { type: 'string', default: '4' },
    chunk: { type: 'string', default: '64' },
    causal: { type: 'boolean', default: false },
    rotation: { type: 'string', default: 'gaussian' },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const { description } = await useWebGPU();
const rows = [];
for (const length of values.lengths.split(',').map(Number)) {
  process.stderr.write(`L=${length} …\n`);
  const row = await measure(
    { B: 1, H: Number(values.heads), L: length, D: Number(values.depth), E: Number(values.depth) },
    {
      numHashes: Number(values.hashes),
      chunkLength: Number(values.chunk),
      causal: values.causal,
      rotation: values.rotation as 'gaussian' | 'hadamard',
    },
    Number(values.runs),
  );
  rows.push(row);
  console.log(table(row));
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ adapter: description, rows }, null, 2)}\n`);
  console.log(`written: ${values.json}`);
}
