export type { AdapterKind } from './dawn.js';
export { type AdapterSummary, exposeWebGPU, type UseWebGPUOptions, useWebGPU } from './useWebGPU.js';
