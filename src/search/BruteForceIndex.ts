import type { Batch, Finder } from './candidates.js';
import type { IndexOptions } from './options.js';
import type { StoredValues } from './RowStore.js';
import { type Allowed, VectorIndex } from './VectorIndex.js';

/** Exact search: every query is compared with every vector. The truth that other indexes are measured by. */
export class BruteForceIndex extends VectorIndex {
  protected readonly effortNames = {};

  /** @throws RangeError or TypeError naming the option. */
  constructor(options: IndexOptions) {
    super('BruteForceIndex', options, {});
  }

  protected async prepare(_values: StoredValues): Promise<() => void> {
    return () => {};
  }

  protected forget(): void {}

  protected async deviceSearch(): Promise<object> {
    return {};
  }

  protected async finder(_batch: Batch, _options: object, allowed: Allowed): Promise<Finder> {
    const { count } = this.store;
    const slots = new Int32Array(count);
    let all = 0;
    for (let slot = 0; slot < count; slot++) {
      if (allowed[slot] === 1) {
        slots[all++] = slot;
      }
    }
    return { slots, find: () => all };
  }
}
