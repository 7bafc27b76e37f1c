/** The suite `kernels`: milliseconds and useful GFLOP/s of every kernel of a forward call. */
import { writeFileSync } from 'node:fs';
import { useWebGPU } from 'tfjs-lsh-attention/node';
import { measure } from './measure.js';
import { table } from './report.js';

/** Options of the command line, as they were given. */
export interface KernelOptions {
  readonly lengths: string;
  readonly heads: string;
  readonly depth: string;
  readonly hashes: string;
  readonly chunk: string;
  readonly causal: boolean;
  readonly rotation: string;
  readonly runs: string;
  readonly json?: string | undefined;
}

export async function benchKernels(options: KernelOptions): Promise<void> {
  const { description } = await useWebGPU();
  const rows = [];
  for (const length of options.lengths.split(',').map(Number)) {
    process.stderr.write(`L=${length} …\n`);
    const row = await measure(
      { B: 1, H: Number(options.heads), L: length, D: Number(options.depth), E: Number(options.depth) },
      {
        numHashes: Number(options.hashes),
        chunkLength: Number(options.chunk),
        causal: options.causal,
        rotation: options.rotation as 'gaussian' | 'hadamard',
      },
      Number(options.runs),
    );
    rows.push(row);
    console.log(table(row));
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ adapter: description, rows }, null, 2)}\n`);
    console.log(`written: ${options.json}`);
  }
}
