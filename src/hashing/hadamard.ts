import { philox } from './random.js';
import { Recent } from './recent.js';
import { type RotationShape, rotationKey } from './rotations.js';

/** Names the random stream of the signs: other uses of a seed draw other numbers. */
const STREAM = 0x73676e;
/** Sign flips and transforms that make one block: with three, dense vectors collide as under Gaussian rotations. */
export const TRANSFORMS = 3;
/** Bits of one draw. */
const BITS = 128;

const recent = new Recent<Float32Array>(8);

/** The sizes of pseudo-random rotations: each block of Dp columns is one chain of transforms. */
export interface HadamardShape {
  /** The key depth, zero-padded to a power of two. */
  readonly Dp: number;
  /** Blocks of one round: its F columns are the first of K·Dp. */
  readonly K: number;
}

/** How many columns a block has, and how many blocks make the F columns of a round. */
export function hadamardShape({ D, F }: Pick<RotationShape, 'D' | 'F'>): HadamardShape {
  const Dp = 2 ** (32 - Math.clz32(D - 1));
  return { Dp, K: Math.ceil(F / Dp) };
}

/** Numbers of {@link hadamardSigns}. */
export function signCount({ H, D, R, F }: RotationShape): number {
  const { Dp, K } = hadamardShape({ D, F });
  return H * R * K * TRANSFORMS * Dp;
}

/** Additions of one token in one round; flips of sign are not counted. */
export function hadamardAdditions(shape: Pick<RotationShape, 'D' | 'F'>): number {
  const { Dp, K } = hadamardShape(shape);
  return K * TRANSFORMS * Dp * Math.log2(Dp);
}

/**
 * The diagonals `[H, R, K, 3, Dp]` of ±1 that stand for the rotations of a seed (Andoni et al. 2015,
 * arXiv 1509.02897, "pseudo-random rotations"): a block of columns is y = Hd·S3·Hd·S2·Hd·S1·q, with Hd
 * the unnormalised Hadamard transform in Sylvester's order. An entry depends on its own
 * (h, r, block, s, d) alone, not on how many there are of each.
 *
 * The most recent draws are remembered, and shared: do not write to the result.
 */
export function hadamardSigns(shape: RotationShape, seed: number): Float32Array {
  return recent.get(rotationKey(shape, seed), () => draw(shape, seed));
}

function draw(shape: RotationShape, seed: number): Float32Array {
  const { H, R } = shape;
  const { Dp, K } = hadamardShape(shape);
  const values = new Float32Array(signCount(shape));
  let at = 0;
  for (let h = 0; h < H; h++) {
    for (let r = 0; r < R; r++) {
      for (let diagonal = 0; diagonal < K * TRANSFORMS; diagonal++) {
        for (let d = 0; d < Dp; d += BITS) {
          const words = philox([d / BITS, diagonal, r, h], [seed, STREAM]);
          for (let bit = 0; bit < BITS && d + bit < Dp; bit++) {
            values[at++] = ((words[bit >>> 5] as number) >>> (bit & 31)) & 1 ? -1 : 1;
          }
        }
      }
    }
  }
  return values;
}

/** The Hadamard matrix `[Dp, Dp]` in Sylvester's order: −1 where row and column share an odd number of bits. */
export function hadamardMatrix(Dp: number): Float32Array {
  return Float32Array.from({ length: Dp * Dp }, (_, i) => parity(Math.floor(i / Dp) & (i % Dp)));
}

/** 1 for an even number of bits, else −1. */
function parity(bits: number): number {
  let sign = 1;
  for (let rest = bits; rest !== 0; rest &= rest - 1) {
    sign = -sign;
  }
  return sign;
}
