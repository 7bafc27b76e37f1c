/** Loaded before the user's file: names that the file's own folder cannot resolve are ours. */
import { register } from 'node:module';
import { exposeWebGPU } from 'tfjs-lsh-attention/node';

register('./resolveHere.mjs', import.meta.url);
const { description } = await exposeWebGPU();
process.stderr.write(`adapter: ${description}\n`);
