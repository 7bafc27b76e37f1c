import { readFileSync } from 'node:fs';
import { safetensors } from '@jax-js/loaders';

/** A tensor of a file, its values as numbers. */
export interface Stored {
  readonly shape: number[];
  readonly data: readonly number[];
}
export type Arrays = Readonly<Record<string, Stored>>;

const data = (path: string) => new URL(`./data/${path}`, import.meta.url);

export const json = (path: string) => JSON.parse(readFileSync(data(path), 'utf8'));

/** All tensors of a safetensors file. */
export function load(path: string): Arrays {
  const { tensors } = safetensors.parse(new Uint8Array(readFileSync(data(path))));
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      { shape: tensor.shape, data: Array.from(tensor.data as ArrayLike<number | bigint>, Number) },
    ]),
  );
}
