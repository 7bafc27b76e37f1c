/** The hyperplanes that the figures beside ours began with: how good learned ones become depends on them. */
import { DOTS } from './images.js';

/** Hyperplanes `[bits, DOTS]` of one of NumPy's seeds, which drew them as columns. */
export function firstPlanes(bits: number, seed: number): Float64Array {
  const drawn = new RandomState(seed).take(DOTS * bits);
  return drawn.map((_, i) => drawn[(i % DOTS) * bits + Math.floor(i / DOTS)] as number);
}

/**
 * The draws of NumPy's `RandomState(seed).randn`, bit by bit: the Mersenne twister (Matsumoto and Nishimura 1998) and the
 * polar method.
 */
class RandomState {
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
