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
