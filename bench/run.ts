/**
 * npm run bench -- [--lengths 1024,4096] [--heads 8] [--depth 64] [--hashes 4] [--chunk 64] [--causal]
 *                  [--rotation hadamard] [--runs 5] [--json FILE]
 * npm run bench -- --suite copy [--steps 600] [--fresh] [--json FILE] [--markdown FILE]
 *
 * The first measures kernels; the second trains on the Reformer paper's duplication task, with and
 * without LSH, and shows its Table 2 beside the paper's. Ctrl-C stops the second after a step; the same
 * command goes on.
 */
import { parseArgs } from 'node:util';
import { benchCopy } from './copy.js';
import { benchKernels } from './kernels.js';

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'kernels' },
    lengths: { type: 'string', default: '1024,2048,4096,8192,16384' },
    heads: { type: 'string', default: '8' },
    depth: { type: 'string', default: '64' },
    hashes: { type: 'string', default: '4' },
    chunk: { type: 'string', default: '64' },
    causal: { type: 'boolean', default: false },
    rotation: { type: 'string', default: 'gaussian' },
    runs: { type: 'string', default: '5' },
    steps: { type: 'string', default: '600' },
    fresh: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});
if (values.suite === 'kernels') {
  await benchKernels(values);
} else if (values.suite === 'copy') {
  process.exitCode = await benchCopy(values);
} else {
  console.error(`--suite must be kernels or copy, got '${values.suite}'.`);
  process.exitCode = 1;
}
