import { Door, show } from '../door.js';
import type { ReformerConfig } from './config.js';

/** Every parameter of a model by transformers' name, with transformers' shape: matrices are `[out, in]`. */
export type ParameterShapes = ReadonlyMap<string, readonly number[]>;

/**
 * The parameters of a configuration's model, in the order of the forward pass.
 *
 * @throws TypeError for what `readConfig` has not read.
 */
export function parameterShapes(config: ReformerConfig): ParameterShapes {
  checkRead('parameterShapes', config);
  const [head] = config.architectures;
  const base = baseName(config);
  const shapes = new Map<string, readonly number[]>();
  for (const [name, shape] of [...embeddings(config), ...encoder(config)]) {
    shapes.set(base + name, shape);
  }
  const { hidden_size: d, vocab_size, num_labels } = config;
  if (head === 'ReformerForSequenceClassification') {
    shapes.set('classifier.dense.weight', [d, 2 * d]);
    shapes.set('classifier.dense.bias', [d]);
    shapes.set('classifier.out_proj.weight', [num_labels, d]);
    shapes.set('classifier.out_proj.bias', [num_labels]);
  } else if (head !== 'ReformerModel') {
    shapes.set('lm_head.decoder.weight', [vocab_size, 2 * d]);
    shapes.set('lm_head.bias', [vocab_size]);
  }
  return shapes;
}

/** Refuses what is no whole configuration; its fields were looked at when it was read. */
export function checkRead(name: string, config: ReformerConfig): void {
  const { architectures, attn_layers, axial_pos_shape, axial_pos_embds_dim, others } = config ?? {};
  if (![architectures, attn_layers, axial_pos_shape, axial_pos_embds_dim].every(Array.isArray) || !others) {
    throw new Door(name).kind(
      `\`config\` must be a whole configuration, got ${show(config)}. Give it to readConfig() first.`,
    );
  }
}

/**
 * How many numbers a model's parameters have.
 *
 * @throws TypeError for what `readConfig` has not read.
 */
export function parameterCount(config: ReformerConfig): number {
  checkRead('parameterCount', config);
  return [...parameterShapes(config).values()].reduce(
    (sum, shape) => sum + shape.reduce((size, axis) => size * axis, 1),
    0,
  );
}

/** What stands before the names of the model without its head. */
export function baseName({ architectures }: ReformerConfig): string {
  return architectures[0] === 'ReformerModel' ? '' : 'reformer.';
}

type Named = [string, readonly number[]];

function embeddings(config: ReformerConfig): Named[] {
  const { vocab_size, hidden_size, max_position_embeddings, axial_pos_embds } = config;
  const [rows, columns] = config.axial_pos_shape as [number, number];
  const [ofRows, ofColumns] = config.axial_pos_embds_dim as [number, number];
  const positions: Named[] = axial_pos_embds
    ? [
        ['embeddings.position_embeddings.weights.0', [rows, 1, ofRows]],
        ['embeddings.position_embeddings.weights.1', [1, columns, ofColumns]],
      ]
    : [['embeddings.position_embeddings.embedding.weight', [max_position_embeddings, hidden_size]]];
  return [['embeddings.word_embeddings.weight', [vocab_size, hidden_size]], ...positions];
}

function encoder(config: ReformerConfig): Named[] {
  const { hidden_size: d, feed_forward_size: wide, num_attention_heads, attention_head_size } = config;
  const heads = num_attention_heads * attention_head_size;
  const norm = (name: string, width: number): Named[] => [
    [`${name}.layer_norm.weight`, [width]],
    [`${name}.layer_norm.bias`, [width]],
  ];
  const layers = config.attn_layers.flatMap((kind, i): Named[] => {
    const layer = `encoder.layers.${i}`;
    const projections = kind === 'lsh' ? ['query_key', 'value'] : ['query', 'key', 'value'];
    return [
      ...norm(`${layer}.attention`, d),
      ...projections.map((name): Named => [`${layer}.attention.self_attention.${name}.weight`, [heads, d]]),
      [`${layer}.attention.output.dense.weight`, [d, heads]],
      ...norm(`${layer}.feed_forward`, d),
      [`${layer}.feed_forward.dense.dense.weight`, [wide, d]],
      [`${layer}.feed_forward.dense.dense.bias`, [wide]],
      [`${layer}.feed_forward.output.dense.weight`, [d, wide]],
      [`${layer}.feed_forward.output.dense.bias`, [d]],
    ];
  });
  return [...layers, ...norm('encoder', 2 * d)];
}
