export { type PredictedCost, predictCost } from './attention/cost.js';
export { LshCache } from './attention/decode/LshCache.js';
export type { LshCacheAppendOptions, LshCacheOptions } from './attention/decode/options.js';
export { denseAttention, denseAttentionWithLse } from './attention/dense/denseAttention.js';
export {
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
} from './attention/dense/scaledDotProduct.js';
export { localAttention } from './attention/localAttention.js';
export {
  type AttentionWithLse,
  lshAttention,
  lshAttentionWithLse,
  lshBuckets,
} from './attention/lshAttention.js';
export {
  type DenseAttentionOptions,
  type LocalAttentionOptions,
  type LshAttentionOptions,
  NOTHING_SEEN,
  presets,
  type Scale,
  type ScaledDotProductOptions,
} from './attention/options.js';
export type { OpName } from './attention/passes.js';
export { type AttentionPlan, type OpPlan, plan } from './attention/plan.js';
export type { Settings, Shape } from './attention/settings.js';
export type { DeviceTraits } from './webgpu/traits.js';
