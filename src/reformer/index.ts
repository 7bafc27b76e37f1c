export type { Folder, FolderTarget } from '../storage/folders/folder.js';
export type { FolderSource } from '../storage/folders/openFolder.js';
export {
  parseSafetensors,
  type Safetensors,
  type StoredTensor,
  writeSafetensors,
} from '../storage/safetensors.js';
export { type Attended, type AttentionLayer, LocalLayer, LshLayer } from './attention.js';
export type { Call } from './call.js';
export { type LoadReformerOptions, loadReformer } from './checkpoint/loadReformer.js';
export type { LoadProgress } from './checkpoint/progress.js';
export { type SaveReformerOptions, saveReformer } from './checkpoint/saveReformer.js';
export { type Architecture, configJson, type ReformerConfig, readConfig } from './config.js';
export type { Encoder } from './encoder.js';
export type { FeedForward } from './feedForward.js';
export type { GeneratedTokens } from './generate/generate.js';
export type { Ending, Generated, GenerateOptions, GenerationProgress } from './generate/options.js';
export type { Batch, Rows } from './inputs.js';
export { ReformerLayer, type ReformerLayerArgs, reformerLayer } from './layer.js';
export { Reformer, type ReformerOptions } from './model.js';
export type { ReformerCallOptions } from './options.js';
export { type ParameterShapes, parameterCount, parameterShapes } from './parameters.js';
export type { ReversibleLayer, Streams } from './reversible.js';
export { ByteTokenizer } from './tokenizers/bytes.js';
export { loadTokenizer } from './tokenizers/loadTokenizer.js';
export type { TextStream, Tokenizer } from './tokenizers/tokenizer.js';
