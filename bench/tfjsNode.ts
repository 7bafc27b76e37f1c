/** tfjs-node, from the folder that `node scripts/installTfjsNode.mjs` made, or from that of LSH_TFJS_NODE. */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';

const FOLDER = process.env.LSH_TFJS_NODE ?? fileURLToPath(new URL('peers/tfjs-node', import.meta.url));

/**
 * Registers the backend `tensorflow`, and returns the version of its TensorFlow. tfjs-node brings a tfjs of
 * its own: engine and kernels are one for all copies in a process.
 *
 * @throws Error where tfjs-node is not installed or does not run.
 */
export function loadTfjsNode(): string {
  const before = tf.getBackend();
  // Else every kernel of cpu and webgl that the second copy registers is warned of.
  tf.env().set('PROD', true);
  // Gone since Node 23.
  Object.assign(util, { isNullOrUndefined: (x: unknown) => x === null || x === undefined });
  try {
    createRequire(resolve(FOLDER, 'package.json'))('@tensorflow/tfjs-node');
    const { binding } = tf.findBackend('tensorflow') as unknown as { binding: { TF_Version: string } };
    return binding.TF_Version;
  } catch (error) {
    throw new Error(`There is no tfjs-node that runs in ${FOLDER}. Try: node scripts/installTfjsNode.mjs`, {
      cause: error,
    });
  } finally {
    if (before !== undefined && tf.findBackendFactory(before) !== null) {
      tf.setBackend(before);
    }
  }
}
