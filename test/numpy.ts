/** The draws of NumPy's `default_rng(seed).standard_normal`: PCG64 and a ziggurat, bit by bit. */
import { readFileSync } from 'node:fs';

const DATA = 'test/golden/data/search';
const WORD = (1n << 64n) - 1n;
const STATE = (1n << 128n) - 1n;
/** O'Neill 2014, "PCG", setseq-xsl-rr-128/64. */
const MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;
/** Where the base layer's tail begins. */
const TAIL = 3.654152885361009;

interface Ziggurat {
  readonly wi: readonly number[];
  readonly ki: readonly number[];
  readonly fi: readonly number[];
}

const read = (file: string) => JSON.parse(readFileSync(`${DATA}/${file}`, 'utf8'));

/** Normal numbers of `default_rng(0)`, in the order of its draws. */
export class NumpyNormals {
  private readonly layers = read('ziggurat.json') as Ziggurat;
  private readonly increment: bigint;
  private state: bigint;

  constructor() {
    const { state, inc } = read('pcg64_seed0_state.json') as { readonly state: string; readonly inc: string };
    this.state = BigInt(state);
    this.increment = BigInt(inc);
  }

  take(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => this.normal());
  }

  private word(): bigint {
    this.state = (this.state * MULTIPLIER + this.increment) & STATE;
    const mixed = (this.state >> 64n) ^ (this.state & WORD);
    const turn = this.state >> 122n;
    return ((mixed >> turn) | (mixed << (64n - turn))) & WORD;
  }

  private uniform(): number {
    return Number(this.word() >> 11n) * 2 ** -53;
  }

  private normal(): number {
    const { wi, ki, fi } = this.layers;
    for (;;) {
      const word = this.word();
      const layer = Number(word & 255n);
      const steps = Number((word >> 9n) & ((1n << 52n) - 1n));
      const sign = (word >> 8n) & 1n ? -1 : 1;
      const x = sign * steps * (wi[layer] as number);
      if (steps < (ki[layer] as number)) {
        return x;
      }
      if (layer === 0) {
        return this.tail((BigInt(steps) >> 8n) & 1n ? -1 : 1);
      }
      const below = fi[layer] as number;
      if (((fi[layer - 1] as number) - below) * this.uniform() + below < Math.exp(-0.5 * x * x)) {
        return x;
      }
    }
  }

  private tail(sign: number): number {
    for (;;) {
      const beyond = -Math.log1p(-this.uniform()) / TAIL;
      const height = -Math.log1p(-this.uniform());
      if (2 * height > beyond * beyond) {
        return sign * (TAIL + beyond);
      }
    }
  }
}

/** Normal numbers of the older `RandomState(seed).randn`: the Mersenne twister (Matsumoto and Nishimura 1998) and the polar method. */
export class NumpyLegacyNormals {
  private readonly words = new Uint32Array(624);
  private at = 624;
  private spare: number | undefined;

  constructor(seed: number) {
    const { words } = this;
    words[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = words[i - 1] as number;
      words[i] = Math.imul(before ^ (before >>> 30), 1812433253) + i;
    }
  }

  take(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => this.normal());
  }

  private normal(): number {
    if (this.spare !== undefined) {
      const { spare } = this;
      this.spare = undefined;
      return spare;
    }
    let [x, y, square] = [0, 0, 0];
    do {
      x = 2 * this.uniform() - 1;
      y = 2 * this.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const scale = Math.sqrt((-2 * Math.log(square)) / square);
    this.spare = scale * x;
    return scale * y;
  }

  private uniform(): number {
    const [high, low] = [this.word() >>> 5, this.word() >>> 6];
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  private word(): number {
    if (this.at === 624) {
      this.turn();
    }
    let y = this.words[this.at++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private turn(): void {
    const { words } = this;
    for (let i = 0; i < 624; i++) {
      const y = ((words[i] as number) & 0x80000000) | ((words[(i + 1) % 624] as number) & 0x7fffffff);
      words[i] = (words[(i + 397) % 624] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
}
