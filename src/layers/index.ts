export { DenseSelfAttention, denseSelfAttention } from './denseSelfAttention.js';
export {
  LocalSelfAttention,
  type LocalSelfAttentionArgs,
  localSelfAttention,
} from './localSelfAttention.js';
export {
  LSHSelfAttention,
  type LSHSelfAttentionArgs,
  lshSelfAttention,
} from './lshSelfAttention.js';
