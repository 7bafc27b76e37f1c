import type { VectorFamily } from '../hashing/family.js';
import { hyperplanes } from '../hashing/hyperplanes.js';
import { CodeBlocks } from './CodeBlocks.js';
import type { Batch, Finder } from './candidates.js';
import type { DeviceCodes } from './DeviceRows.js';
import { SearchDoor } from './door.js';
import { grown } from './grown.js';
import { HashIndex } from './HashIndex.js';
import { hammingFinder } from './hamming.js';
import type { EffortOptions, HashIndexOptions, IndexStats } from './options.js';
import { packCodes, packedWords } from './packedCodes.js';
import { Tuning } from './tune.js';
import type { Allowed } from './VectorIndex.js';

/** Vectors that are compared exactly, unless a query says otherwise. */
const CANDIDATES = 200;

/**
 * Every vector has a code of bits. A query is compared with all codes, bit by bit, and with the vectors of the nearest
 * codes exactly. There are no tables to build, and the work is the same for every query: the index for GPUs, for
 * data that changes, and for batches.
 *
 * The default family has 256 bits: hyperplanes by Hadamard transforms.
 */
export class BinaryIndex extends HashIndex {
  /** What its codes are made by. */
  readonly family: VectorFamily;
  protected readonly effortNames = { maxCandidates: true, hammingRadius: true, targetRecall: true } as const;
  protected readonly tuning = new Tuning('maxCandidates', Number.MAX_SAFE_INTEGER);
  private readonly words: number;
  /** `[slots, words]` */
  private codes = new Int32Array(0);
  /** The same for the CPU, which makes them when it is first asked. */
  private blocks: CodeBlocks;

  /** @throws RangeError or TypeError naming the option. */
  constructor(options: HashIndexOptions) {
    super('BinaryIndex', options);
    const family = options.family ?? hyperplanes({ D: this.D, bits: 32, tables: 8, rotation: 'hadamard' });
    if (family.bits === 0) {
      throw new SearchDoor('BinaryIndex').range(
        `\`family\` must have codes of bits that can be compared one by one, got ${family.name}. Use hyperplanes(…), or an LshIndex.`,
      );
    }
    this.family = family;
    this.words = packedWords(family.tables);
    this.blocks = new CodeBlocks(family.tables, family.bits);
  }

  override stats(): IndexStats & {
    /** Of a vector's code. */
    readonly bits: number;
  } {
    const stats = super.stats();
    const bytes = stats.bytes + this.store.count * this.words * 4 + this.blocks.bytes;
    return { ...stats, bytes, bits: this.family.tables * this.family.bits };
  }

  protected take(codes: Int32Array, n: number): void {
    const packed = packCodes(codes, this.family.tables);
    const first = (this.store.count - n) * this.words;
    this.codes = grown(this.codes, first + packed.length);
    this.codes.set(packed, first);
  }

  protected codesBySlot(): Int32Array {
    const { count } = this.store;
    const codes = new Int32Array(this.family.tables * count);
    for (let i = 0; i < codes.length; i++) {
      codes[i] = this.codes[(i % count) * this.words + Math.floor(i / count)] as number;
    }
    return codes;
  }

  protected forget(): void {
    this.codes = new Int32Array(0);
    this.blocks = new CodeBlocks(this.family.tables, this.family.bits);
    this.tuning.forget();
  }

  protected async deviceSearch(
    batch: Batch,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
    least: number,
  ): Promise<{ readonly codes: DeviceCodes } | undefined> {
    const { codes, words } = this;
    const bits = this.family.tables * this.family.bits;
    const { most, radius } = this.effort(options, door, least);
    const width = Math.min(
      most,
      allowed.reduce((sum, one) => sum + one, 0),
    );
    // A radius leaves each query a number of its own, and there may be nothing to find.
    if (radius < bits || width === 0) {
      return undefined;
    }
    const queryCodes = packCodes(await this.codesOf(this.family, batch.rows, door), this.family.tables);
    return { codes: { codes, words, bits, queryCodes, width } };
  }

  protected async finder(
    batch: Batch,
    options: EffortOptions,
    allowed: Allowed,
    door: SearchDoor,
    least: number,
  ): Promise<Finder> {
    const { most, radius } = this.effort(options, door, least);
    const { words, store, blocks } = this;
    const codes = packCodes(await this.codesOf(this.family, batch.rows, door), this.family.tables);
    blocks.update(this.codes, words, store.count);
    return hammingFinder(blocks, codes, words, { allowed, most, radius });
  }

  private effort(
    { maxCandidates, hammingRadius, targetRecall }: EffortOptions,
    door: SearchDoor,
    least: number,
  ) {
    const everything = Math.max(1, this.store.count);
    const radius =
      hammingRadius === undefined
        ? Number.MAX_SAFE_INTEGER
        : door.integer('hammingRadius', hammingRadius, 0, this.family.tables * this.family.bits);
    if (targetRecall !== undefined) {
      const { maxCandidates: enough = everything } = this.tuning.effort(targetRecall, door);
      return { radius, most: Math.max(least, enough) };
    }
    const byDefault =
      hammingRadius === undefined ? Math.max(CANDIDATES, Math.min(least, everything)) : everything;
    return { radius, most: door.integer('maxCandidates', maxCandidates ?? byDefault, 1) };
  }
}
