import { show } from '../door.js';
import { onWebGPU } from '../webgpu/backend.js';
import { type Batch, type Finder, offerCandidates } from './candidates.js';
import { type DeviceCodes, DeviceRows } from './DeviceRows.js';
import { SearchDoor } from './door.js';
import { type FileTensor, type IndexFile, writeIndexFile } from './file.js';
import { Neighbours } from './nearest.js';
import type {
  EffortOptions,
  FilterOptions,
  IndexOptions,
  IndexStats,
  Metric,
  QueryOptions,
  QueryResult,
  RangeOptions,
  RangeResult,
  VectorInput,
  VectorStorage,
} from './options.js';
import { MOST_NEIGHBOURS } from './passes.js';
import { Ranges } from './Ranges.js';
import { RowStore, type StoredValues } from './RowStore.js';

/** Which slots may be found: 1, or 0. */
export type Allowed = Uint8Array;

const QUERY_NAMES = { k: true, filter: true } as const;
const RANGE_NAMES = { radius: true, filter: true } as const;

/**
 * What all indexes share: they keep vectors under ids, and compare exactly those that a subclass names as candidates.
 * Calls that return promises should be awaited one after the other.
 */
export abstract class VectorIndex {
  /** Numbers of a vector. */
  readonly D: number;
  /** How far vectors are apart. */
  readonly metric: Metric;
  /** How vectors are kept. */
  readonly storage: VectorStorage;
  /** Names of a subclass's query options. */
  protected abstract readonly effortNames: Readonly<Partial<Record<keyof EffortOptions, true>>>;
  protected readonly store: RowStore;
  private readonly device = new DeviceRows();
  private disposed = false;

  constructor(
    /** The name of the class. */
    readonly kind: string,
    options: IndexOptions,
    names: Readonly<Record<string, true>>,
  ) {
    const door = new SearchDoor(kind);
    door.known(options, { D: true, metric: true, storage: true, ...names });
    this.D = door.integer('D', options.D, 1, 65536);
    this.metric = door.oneOf('metric', options.metric ?? 'euclidean', [
      'euclidean',
      'cosine',
      'innerProduct',
    ]);
    this.storage = door.oneOf('storage', options.storage ?? 'float32', ['float32', 'float16', 'float64']);
    this.store = new RowStore(this.D, this.storage);
  }

  /** Vectors that can be found. */
  get size(): number {
    return this.store.live;
  }

  /**
   * Takes these vectors in place of all that it has.
   *
   * @param rows vectors `[n, D]`, borrowed.
   * @param ids their ids, distinct integers from 0 up. @default 0, 1, 2, …
   * @throws RangeError or TypeError naming the argument, or the row that is not finite.
   */
  async build(rows: VectorInput, ids?: ArrayLike<number>): Promise<void> {
    const door = this.door('build');
    const values = this.store.rounded(await door.rows('rows', rows, this.D, this.storage));
    await this.refill(values, this.checkedIds(door, ids, values.length / this.D, true), door);
  }

  /**
   * Takes more vectors, and returns their ids.
   *
   * @param rows vectors `[n, D]`, borrowed.
   * @param ids as of `build`, none of them in use. @default integers that were never in use
   * @throws RangeError or TypeError naming the argument, or the row that is not finite.
   */
  async add(rows: VectorInput, ids?: ArrayLike<number>): Promise<Int32Array> {
    const door = this.door('add');
    const checked = await door.rows('rows', rows, this.D, this.storage);
    const values = this.store.rounded(checked);
    const n = values.length / this.D;
    door.room(this.store.count + n);
    if (this.store.count === 0) {
      const taken = this.checkedIds(door, ids, n, false);
      await this.refill(values, taken, door);
      return taken;
    }
    const commit = await this.prepare(values, door);
    const taken = this.checkedIds(door, ids, n, false);
    this.store.append(values, taken);
    commit();
    return taken;
  }

  /** Forgets the vectors of these ids, and returns how many of them there were. Unknown ids are passed over. */
  remove(ids: Iterable<number>): number {
    return this.store.removeIds(this.door('remove').iterable('ids', ids));
  }

  /** Gives the room of removed vectors back: from now on the index is as one built from those that are left. */
  async compact(): Promise<void> {
    const door = this.door('compact');
    const { values, ids } = this.store.survivors();
    await this.refill(values, ids, door);
  }

  /**
   * The k nearest neighbours of each query.
   *
   * @param queries vectors `[n, D]`, borrowed.
   * @throws RangeError or TypeError naming the option, or the row that is not finite.
   */
  async query(queries: VectorInput, options: QueryOptions = {}): Promise<QueryResult> {
    const door = this.door('query');
    door.known(options, { ...QUERY_NAMES, ...this.effortNames });
    const k = door.integer('k', options.k ?? 10, 1, 2 ** 20);
    const batch = await this.batch(door, queries);
    door.affordable('neighbours', batch.n * k, 'Ask for fewer, or by fewer queries.');
    const allowed = this.allowed(door, options);
    const nearest = await this.search(batch, k, options, allowed, door);
    return nearest.result(k, this.store.ids, this.metric);
  }

  /**
   * All neighbours of each query within a radius.
   *
   * @param queries vectors `[n, D]`, borrowed.
   * @throws RangeError or TypeError naming the option, or the row that is not finite.
   */
  async range(queries: VectorInput, options: RangeOptions): Promise<RangeResult> {
    const door = this.door('range');
    door.known(options, { ...RANGE_NAMES, ...this.effortNames });
    const { radius } = options;
    if (typeof radius !== 'number' || Number.isNaN(radius)) {
      throw door.range(`\`radius\` must be a number, got ${show(radius)}.`);
    }
    const batch = await this.batch(door, queries);
    const finder = await this.finder(
      batch,
      options,
      this.allowed(door, options),
      door,
      Number.MAX_SAFE_INTEGER,
    );
    const ranges = new Ranges(radius, this.store.ids, this.metric);
    offerCandidates(this.store, this.metric, batch, finder, ranges);
    return ranges.result();
  }

  /** What there is, and the room that it takes. */
  stats(): IndexStats {
    this.door('stats');
    const { live, count, bytes } = this.store;
    return { rows: live, removed: count - live, bytes };
  }

  /**
   * The index as a file in the safetensors format, without what was removed; `loadIndex` reads it. The same vectors
   * give the same bytes.
   */
  save(): Uint8Array<ArrayBuffer> {
    this.door('save');
    const { description, tensors } = this.described();
    return writeIndexFile({
      description: { kind: this.kind, ...description },
      tensors: new Map([...this.store.tensors(), ...tensors]),
    });
  }

  /**
   * Takes what a file holds; for `loadIndex`, which made the index for it.
   *
   * @internal
   */
  restore({ tensors }: IndexFile): void {
    const rows = this.tensor(tensors, 'rows', this.store.values);
    const ids = this.tensor(tensors, 'ids', this.store.ids);
    if (rows.length !== ids.length * this.D) {
      throw new Error('its rows and ids do not belong together');
    }
    const door = this.door('restore');
    door.ids(ids, ids.length, () => false);
    door.finiteRows('rows', this.store.numbers(rows), this.D, this.storage);
    this.store.append(rows, ids);
  }

  /** Frees what the index holds, on the GPU too; it cannot be used after. */
  dispose(): void {
    this.store.clear();
    this.forget();
    this.device.dispose();
    this.disposed = true;
  }

  /** What a file says of the index beside its vectors and ids. */
  protected described(): IndexFile {
    const { D, metric, storage } = this;
    return { description: { options: { D, metric, storage } }, tensors: new Map() };
  }

  /** A tensor of a file, of the same kind of numbers as `like`. */
  protected tensor<T extends FileTensor['values']>(tensors: IndexFile['tensors'], name: string, like: T): T {
    const values = tensors.get(name)?.values;
    if (values === undefined || values.constructor !== like.constructor) {
      throw new Error(`it has no \`${name}\` of the right kind`);
    }
    return values as T;
  }

  /** Learns what it must know of new vectors, and returns what is to be done once they have slots. */
  protected abstract prepare(values: StoredValues, door: SearchDoor): Promise<() => void>;

  /** Forgets what it knows of its vectors. */
  protected abstract forget(): void;

  /** The candidates of a batch of queries, of which at least `least` are wanted each. */
  protected abstract finder(
    batch: Batch,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
    least: number,
  ): Promise<Finder>;

  /** What the GPU's search needs besides the vectors, or undefined where it cannot answer such a query. */
  protected abstract deviceSearch(
    batch: Batch,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
    least: number,
  ): Promise<{ readonly codes?: DeviceCodes } | undefined>;

  /** The k nearest of a batch's candidates: on the GPU where tfjs runs on one. */
  private async search(
    batch: Batch,
    k: number,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
  ): Promise<Neighbours> {
    const width = Math.min(k, this.store.live);
    const able = onWebGPU() && this.storage !== 'float64' && width > 0 && width <= MOST_NEIGHBOURS;
    const device = able ? await this.deviceSearch(batch, options, allowed, door, k) : undefined;
    return device === undefined
      ? this.nearestOf(batch, width, await this.finder(batch, options, allowed, door, k))
      : this.nearestOnDevice(batch, width, allowed, door, device.codes);
  }

  private nearestOf(batch: Batch, k: number, finder: Finder): Neighbours {
    const nearest = new Neighbours(batch.n, k);
    offerCandidates(this.store, this.metric, batch, finder, nearest);
    return nearest;
  }

  /** The GPU chooses the slots. Their distances are computed again, as elsewhere: the same bits on every backend. */
  private async nearestOnDevice(
    batch: Batch,
    k: number,
    allowed: Allowed,
    door: SearchDoor,
    codes?: DeviceCodes,
  ): Promise<Neighbours> {
    const { store, metric } = this;
    const slots = await this.device.nearest(
      store,
      new Float32Array(batch.rows),
      { metric, k, allowed },
      door,
      codes,
    );
    const chosen = new Int32Array(k);
    const find = (i: number) => {
      const found = slots.subarray(i * k, (i + 1) * k).filter((slot) => slot >= 0);
      chosen.set(found);
      return found.length;
    };
    const nearest = this.nearestOf(batch, k, { slots: chosen, find });
    nearest.candidates.fill(codes?.width ?? allowed.reduce((sum, one) => sum + one, 0));
    return nearest;
  }

  protected door(method: string): SearchDoor {
    const door = new SearchDoor(`${this.kind}.${method}`);
    if (this.disposed) {
      throw door.failure('the index is disposed. Build another one.');
    }
    return door;
  }

  private async batch(door: SearchDoor, queries: VectorInput): Promise<Batch> {
    const rows = await door.rows('queries', queries, this.D, this.storage);
    return { rows, n: rows.length / this.D };
  }

  private checkedIds(
    door: SearchDoor,
    ids: ArrayLike<number> | undefined,
    n: number,
    replacing: boolean,
  ): Int32Array {
    door.room(n);
    if (ids === undefined) {
      return replacing ? Int32Array.from({ length: n }, (_, i) => i) : this.store.freshIds(n);
    }
    return door.ids(ids, n, (id) => !replacing && this.store.slot(id) !== undefined);
  }

  /** Takes these vectors in place of all. Nothing changes before all that can fail is done. */
  private async refill(values: StoredValues, ids: Int32Array, door: SearchDoor): Promise<void> {
    const commit = await this.prepareAnew(values, door);
    this.store.clear();
    this.forget();
    this.device.dispose();
    this.store.append(values, ids);
    commit();
  }

  /** `prepare` for vectors that will be the only ones. */
  protected prepareAnew(values: StoredValues, door: SearchDoor): Promise<() => void> {
    return this.prepare(values, door);
  }

  private allowed(door: SearchDoor, { filter }: FilterOptions): Allowed {
    const { alive, ids, count } = this.store;
    if (filter === undefined) {
      return alive;
    }
    if (typeof filter !== 'function') {
      throw door.kind('`filter` must be a function of an id.');
    }
    return alive.map((one, slot) => (slot < count && one === 1 && filter(ids[slot] as number) ? 1 : 0));
  }
}
