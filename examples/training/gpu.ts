import { type AdapterSummary, useWebGPU } from 'tfjs-lsh-attention/node';
import { useTiledProducts } from './products.js';

/** {@link useWebGPU}, with what suits training on its adapter. */
export async function useTrainingGPU(): Promise<AdapterSummary> {
  const summary = await useWebGPU();
  if (summary.kind !== 'gpu') {
    useTiledProducts();
  }
  return summary;
}
