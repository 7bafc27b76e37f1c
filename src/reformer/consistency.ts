/** What the fields of a configuration must be to one another. */
import type { Door } from '../door.js';
import type { ReformerConfig } from './config.js';
import { chunkMultiple } from './lengths.js';
import { parameterShapes } from './parameters.js';

/** Refuses a configuration whose fields do not go together. */
export function checkTogether(config: ReformerConfig, door: Door): void {
  const { architectures, is_decoder, attn_layers, num_hidden_layers, hidden_size } = config;
  const [head] = architectures;
  if (num_hidden_layers !== attn_layers.length) {
    throw door.range(
      `\`num_hidden_layers\` must be the length of \`attn_layers\`, ${attn_layers.length}, got ${num_hidden_layers}. Leave it out.`,
    );
  }
  if (head === 'ReformerModelWithLMHead' && !is_decoder) {
    throw door.range('`is_decoder` must be true for ReformerModelWithLMHead, got false. Set it.');
  }
  if (head === 'ReformerForMaskedLM' && is_decoder) {
    throw door.range('`is_decoder` must be false for ReformerForMaskedLM, got true. Unset it.');
  }
  for (const kind of ['lsh', 'local'] as const) {
    const after = config[`${kind}_num_chunks_after`];
    if (head === 'ReformerModelWithLMHead' && attn_layers.includes(kind) && after !== 0) {
      throw door.range(
        `\`${kind}_num_chunks_after\` must be 0 in a decoder, which sees nothing later, got ${after}.`,
      );
    }
  }
  if (config.tie_word_embeddings) {
    throw door.range(
      `\`tie_word_embeddings\` must be false: the head reads ${2 * hidden_size} numbers a token, both residual streams, the embedding has ${hidden_size}.`,
    );
  }
  checkPositions(config, door);
  for (const [name, shape] of parameterShapes(config)) {
    door.affordable(
      `numbers of '${name}'`,
      shape.reduce((product, size) => product * size, 1),
      'Make the model smaller.',
    );
  }
}

function checkPositions(config: ReformerConfig, door: Door): void {
  const { axial_pos_embds, axial_pos_shape: shape, axial_pos_embds_dim: dims, hidden_size } = config;
  if (!axial_pos_embds) {
    return;
  }
  for (const [name, list] of Object.entries({ axial_pos_shape: shape, axial_pos_embds_dim: dims })) {
    if (list.length !== 2) {
      throw door.range(`\`${name}\` must have two numbers, got [${list}].`);
    }
  }
  const width = (dims[0] as number) + (dims[1] as number);
  if (width !== hidden_size) {
    throw door.range(
      `\`axial_pos_embds_dim\` must add up to \`hidden_size\`, ${hidden_size}, got [${dims}], which add up to ${width}.`,
    );
  }
  const product = (shape[0] as number) * (shape[1] as number);
  if (product < chunkMultiple(config)) {
    throw door.range(
      `the product of \`axial_pos_shape\` must be at least the chunk lengths' common multiple, ${chunkMultiple(config)}, got [${shape}], ${product}. Make it as large as the longest sequence.`,
    );
  }
}
