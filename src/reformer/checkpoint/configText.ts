import { configJson, type ReformerConfig } from '../config.js';

/** Fields that are floats. transformers 5 takes 1 for an integer and refuses it, and JavaScript writes 1.0 so. */
const WHOLE_FLOAT = /^( {2}"(?:\w+_(?:std|range|eps|prob)|classifier_dropout)": \d+)(?=,?$)/gm;

/** The text of a `config.json`: fields in the order of their names, as transformers writes them. */
export function configText(config: ReformerConfig, dtype: string): string {
  const fields = Object.entries({ ...configJson(config), dtype }).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify(Object.fromEntries(fields), null, 2);
  return `${text.replace(WHOLE_FLOAT, '$1.0')}\n`;
}
