import * as tf from '@tensorflow/tfjs-core';
import { type AdapterSummary, useWebGPU } from 'tfjs-lsh-attention/node';

/** {@link useWebGPU}, with what suits training on its adapter. */
export async function useTrainingGPU(): Promise<AdapterSummary> {
  const summary = await useWebGPU();
  if (summary.kind !== 'gpu') {
    // tfjs has several matrix products, and would choose for a GPU; on a processor the tiled one is
    // faster by up to 15 times.
    tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', TILED);
  }
  return summary;
}

/** The tiled ("packed") program among tfjs's products. */
const TILED = 3;
