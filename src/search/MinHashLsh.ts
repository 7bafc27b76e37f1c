import { checkedFunctions } from '../hashing/minhash/options.js';
import { drawFunctions, type HashFunctions, type MinHashScheme } from '../hashing/minhash/schemes.js';
import { checkedSets, signaturesOf } from '../hashing/minhash/signatures.js';
import { checkedSet, type Token, tokenWords } from '../hashing/minhash/tokens.js';
import { type Banding, bandingOfRecall, candidateProbability, chooseBanding, isBanding } from './banding.js';
import type { Keeper } from './candidates.js';
import { SearchDoor } from './door.js';
import { type IndexFile, writeIndexFile } from './file.js';
import type {
  MinHashLshOptions,
  PairResult,
  SetQueryOptions,
  SetRangeOptions,
  SetTuneOptions,
  SetTuneResult,
} from './minHashOptions.js';
import { Neighbours } from './nearest.js';
import type { FilterOptions, IndexStats, QueryResult, RangeResult } from './options.js';
import { Ranges } from './Ranges.js';
import { type SetBatch, SetStore } from './SetStore.js';
import { setsOfTensors, tensorsOfSets } from './setsFile.js';
import { type Key, TokenSets } from './TokenSets.js';

const NAMES = { threshold: true, missWeight: true, verify: true } as const;
const MOST_HASHES = 4096;

/** 1 − J is compared as it is. */
const DISTANCE = 'cosine';

/**
 * Finds similar sets among many, by Jaccard similarity: signatures are cut into bands, and sets that agree in a whole
 * band are candidates (Leskovec, Rajaraman and Ullman, "Mining of massive datasets", section 3.4). Calls that return
 * promises should be awaited one after the other.
 *
 * @example
 * const index = new MinHashLsh({ threshold: 0.7, verify: true });
 * await index.add([['a', 'b', 'c'], ['a', 'b', 'c', 'd']]);
 * index.pairs(); // 0 and 1, of similarity 0.75
 */
export class MinHashLsh {
  /** The Jaccard similarity from which sets should be found. */
  readonly threshold: number;
  /** What a missed pair weighs, of 1. */
  readonly missWeight: number;
  /** Whether candidates are compared exactly. */
  readonly verify: boolean;
  /** Numbers of a signature. */
  readonly numHashes: number;
  /** Of the hash functions. */
  readonly seed: number;
  /** How tokens are hashed. */
  readonly scheme: MinHashScheme;
  private cut: Banding;
  private readonly functions: HashFunctions;
  private readonly store: SetStore;
  private disposed = false;

  /** @throws RangeError or TypeError naming the option. */
  constructor(options: MinHashLshOptions = {}) {
    const door = new SearchDoor('MinHashLsh');
    const { scheme, k, seed } = checkedFunctions(options, door, NAMES);
    const { threshold = 0.8, missWeight = 0.95, verify = false } = options;
    this.threshold = door.share('threshold', threshold);
    if (threshold === 0) {
      throw door.range('`threshold` must be above 0, got 0: all sets are that similar. Try 0.5.');
    }
    this.missWeight = door.share('missWeight', missWeight);
    this.verify = door.flag('verify', verify);
    this.numHashes = door.integer('numHashes', k, 1, MOST_HASHES);
    [this.scheme, this.seed] = [scheme, seed];
    this.cut = chooseBanding(k, threshold, missWeight);
    this.functions = drawFunctions(scheme, k, seed);
    this.store = new SetStore(k, this.cut, verify);
  }

  /** Sets that can be found. */
  get size(): number {
    return this.store.slots.live;
  }

  /** Bands of a signature, and positions of each. */
  get banding(): Banding {
    return this.cut;
  }

  /**
   * Takes these sets in place of all that it has.
   *
   * @param ids their ids, distinct integers from 0 up. @default 0, 1, 2, …
   */
  async build(sets: Iterable<Iterable<Token>>, ids?: ArrayLike<number>): Promise<void> {
    const door = this.door('build');
    const batch = await this.batchOf(sets, door);
    const n = batch.keys.length;
    door.room(n);
    this.refill(
      batch,
      door.ids(ids ?? Int32Array.from({ length: n }, (_, i) => i), n, () => false),
    );
  }

  /**
   * Takes more sets, and returns their ids. Each set is read once; a call that fails changes nothing.
   *
   * @param ids distinct integers from 0 up, none of them in use. @default integers that were never in use
   */
  async add(sets: Iterable<Iterable<Token>>, ids?: ArrayLike<number>): Promise<Int32Array> {
    const door = this.door('add');
    const batch = await this.batchOf(sets, door);
    const n = batch.keys.length;
    const { slots } = this.store;
    door.room(slots.count + n);
    const taken = door.ids(ids ?? slots.freshIds(n), n, (id) => slots.slot(id) !== undefined);
    this.store.append(batch, taken);
    return taken;
  }

  /** Forgets the sets of these ids, and returns how many of them there were. Unknown ids are passed over. */
  remove(ids: Iterable<number>): number {
    return this.store.slots.removeIds(this.door('remove').iterable('ids', ids));
  }

  /** Gives the room of removed sets back: from now on the index is as one built from those that are left. */
  compact(): void {
    this.door('compact');
    const { batch, ids } = this.store.survivors();
    this.refill(batch, ids);
  }

  /**
   * The k most similar sets of each query among its candidates, by distance 1 − J. With `verify` those below the threshold
   * are left out, and J is exact; else all candidates count, and J is estimated.
   */
  async query(sets: Iterable<Iterable<Token>>, options: SetQueryOptions = {}): Promise<QueryResult> {
    const door = this.door('query');
    door.known(options, { k: true, filter: true });
    const k = door.integer('k', options.k ?? 10, 1, 2 ** 20);
    const batch = await this.batchOf(sets, door);
    const n = batch.keys.length;
    door.affordable('neighbours', n * k, 'Ask for fewer, or by fewer queries.');
    const { slots } = this.store;
    const nearest = new Neighbours(n, Math.min(k, slots.live));
    this.compare(batch, options, door, nearest, (similarity) => this.isFound(similarity));
    return nearest.result(k, slots.ids, DISTANCE);
  }

  /** All sets of each query's candidates within a radius, most similar first. With `verify` J is exact; else it is estimated. */
  async range(sets: Iterable<Iterable<Token>>, options: SetRangeOptions = {}): Promise<RangeResult> {
    const door = this.door('range');
    door.known(options, { radius: true, filter: true });
    const radius = door.share('radius', options.radius ?? 1 - this.threshold);
    const batch = await this.batchOf(sets, door);
    const ranges = new Ranges(radius, this.store.slots.ids, DISTANCE);
    this.compare(batch, options, door, ranges);
    return ranges.result();
  }

  /**
   * Cuts signatures anew, into the bands by which a set at the threshold is found with a probability of at least
   * `targetRecall`, and as few others as that allows: a matter of counting, for which no sets are looked at.
   */
  async tune(options: SetTuneOptions): Promise<SetTuneResult> {
    const door = this.door('tune');
    door.known(options, { targetRecall: true });
    const targetRecall = door.share('targetRecall', options.targetRecall);
    const { numHashes, threshold } = this;
    const banding = bandingOfRecall(numHashes, threshold, targetRecall);
    if (banding === undefined) {
      throw door.range(
        `\`targetRecall\` ${targetRecall} is out of reach of signatures of ${numHashes} hashes. Raise \`numHashes\`.`,
      );
    }
    this.recut(banding);
    return { ...banding, recall: candidateProbability(threshold, banding) };
  }

  /**
   * All pairs of similar sets in the index, in the order in which their sets came. With `verify` those at or above the
   * threshold, exactly; else all candidates, with estimates.
   */
  pairs(): PairResult {
    this.door('pairs');
    const { slots } = this.store;
    const pairs: [number, number, number][] = [];
    let candidates = 0;
    for (let slot = 0; slot < slots.count; slot++) {
      if (slots.alive[slot] === 1) {
        for (const other of this.store.candidates(this.store.signature(slot), slot + 1)) {
          candidates++;
          const similarity = this.store.similarityOf(slot, other);
          if (this.isFound(similarity)) {
            pairs.push([slots.ids[slot] as number, slots.ids[other] as number, similarity]);
          }
        }
      }
    }
    return {
      first: Int32Array.from(pairs, ([first]) => first),
      second: Int32Array.from(pairs, ([, second]) => second),
      similarities: Float64Array.from(pairs, ([, , similarity]) => similarity),
      candidates,
    };
  }

  /** What there is, and the room that it takes, but for the tokens that `verify` keeps. */
  stats(): IndexStats {
    this.door('stats');
    const { live, count } = this.store.slots;
    return { rows: live, removed: count - live, bytes: this.store.bytes };
  }

  /**
   * The index as one file in the safetensors format, without removed sets, for `loadIndex`; equal indexes give equal bytes.
   */
  save(): Uint8Array<ArrayBuffer> {
    this.door('save');
    const { threshold, missWeight, verify, numHashes, seed, scheme } = this;
    const options = { threshold, missWeight, verify, numHashes, seed, scheme };
    const tensors = tensorsOfSets(this.store.survivors());
    return writeIndexFile({ description: { kind: 'MinHashLsh', options, banding: this.cut }, tensors });
  }

  /** Takes what a file holds; used by `loadIndex`. @internal */
  restore(file: IndexFile): void {
    const { batch, ids } = setsOfTensors(file, this.numHashes);
    const { banding } = file.description;
    if (!isBanding(banding, this.numHashes)) {
      throw new Error('its bands do not fit its signatures');
    }
    this.recut(banding);
    this.refill(
      batch,
      this.door('restore').ids(ids, ids.length, () => false),
    );
  }

  /** Frees what the index holds; it cannot be used after. */
  dispose(): void {
    this.store.clear();
    this.disposed = true;
  }

  private door(method: string): SearchDoor {
    const door = new SearchDoor(`MinHashLsh.${method}`);
    if (this.disposed) {
      throw door.failure('the index is disposed. Build another one.');
    }
    return door;
  }

  private recut(banding: Banding): void {
    this.cut = banding;
    this.store.recut(banding);
  }

  /** Offers each query's candidates that are similar enough by their distances. */
  private compare(
    batch: SetBatch,
    { filter = () => true }: FilterOptions,
    door: SearchDoor,
    keeper: Keeper,
    isEnough: (similarity: number) => boolean = () => true,
  ): void {
    if (typeof filter !== 'function') {
      throw door.kind('`filter` must be a function of an id.');
    }
    const { slots } = this.store;
    for (let i = 0; i < batch.keys.length; i++) {
      const signature = this.store.row(batch.signatures, i);
      const compared = this.store.candidates(signature).filter((slot) => filter(slots.ids[slot] as number));
      for (const slot of compared) {
        const similarity = this.store.similarity(batch, i, slot);
        if (isEnough(similarity)) {
          keeper.offer(slot, 1 - similarity);
        }
      }
      keeper.endQuery(i, compared.length);
    }
  }

  private isFound(similarity: number): boolean {
    return !this.verify || similarity >= this.threshold;
  }

  private async batchOf(sets: Iterable<Iterable<Token>>, door: SearchDoor): Promise<SetBatch> {
    const words: Uint32Array[] = [];
    const keys: Set<Key>[] = [];
    for (const set of checkedSets(sets, door)) {
      // A generator can be read once, and is needed twice.
      const tokens = this.verify ? Array.from(checkedSet(set, door)) : set;
      words.push(tokenWords(tokens, this.functions.wordOfBytes, door));
      keys.push(this.verify ? TokenSets.keys(tokens, door) : new Set());
    }
    return { signatures: await signaturesOf(words, this.functions, door), keys };
  }

  private refill(batch: SetBatch, ids: Int32Array): void {
    this.store.clear();
    this.store.append(batch, ids);
  }
}
