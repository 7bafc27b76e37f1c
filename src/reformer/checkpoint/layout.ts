/** The files of a model's folder, as transformers names them. */

export const CONFIG = 'config.json';
export const WEIGHTS = 'model.safetensors';
export const WEIGHTS_INDEX = 'model.safetensors.index.json';

/** File `number` of `count` that hold the weights together. */
export function shardName(number: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, '0');
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}

/** Whether a file holds weights, or says where they are. */
export function isOfWeights(name: string): boolean {
  return name === WEIGHTS || name === WEIGHTS_INDEX || /^model-\d{5}-of-\d{5}\.safetensors$/.test(name);
}
