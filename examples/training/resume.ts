/** What a run can go on from, and the settings that it must go on with. */
import type { StoredTensor } from 'tfjs-lsh-attention/reformer';

export interface Checkpoint {
  /** Anything that JSON holds. */
  readonly about: unknown;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Refuses to go on with a run of other settings.
 * @throws Error that names the first that differs.
 */
export function sameRecipe(path: string, saved: object | undefined, wanted: object): void {
  for (const [name, value] of Object.entries(wanted)) {
    const other = saved?.[name as keyof typeof saved];
    if (other !== value) {
      throw new Error(
        `The checkpoint ${path} is of a run with ${name} ${other}, not ${value}. Give the options of that run, another --checkpoint, or --fresh to start over.`,
      );
    }
  }
}
