import * as tf from '@tensorflow/tfjs-core';

/**
 * tfjs has several matrix products, and would choose for a GPU; where WebGPU runs on a processor the tiled one is faster by
 * up to 15 times.
 */
export function useTiledProducts(): void {
  tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', TILED);
}

/** The tiled ("packed") program among tfjs's products. */
const TILED = 3;
