import { normalFromWord, philox } from './random.js';
import { Recent } from './recent.js';

/** What a drawn rotation depends on. */
export interface RotationShape {
  /** Heads, each with a rotation of its own. */
  readonly H: number;
  /** Key depth. */
  readonly D: number;
  /** Hash rounds. */
  readonly R: number;
  /** Columns of one round: half the sum of the bucket factors. */
  readonly F: number;
}

/** Names the random stream of the rotations: other uses of a seed draw other numbers. */
const STREAM = 0x726f74;
const recent = new Recent<Float32Array>(8);

/**
 * The rotation matrices `[H, D, R, F]` of a seed, entries N(0, 1). An entry depends on its own
 * (h, d, r, column) alone: the first rounds of a call with more rounds are those of a call with fewer.
 *
 * The most recent draws are remembered, and shared: do not write to the result.
 */
export function gaussianRotations(shape: RotationShape, seed: number): Float32Array {
  return recent.get(rotationKey(shape, seed), () => draw(shape, seed));
}

/** A text that is equal for equal draws. */
export function rotationKey({ H, D, R, F }: RotationShape, seed: number): string {
  return `${seed}:${H},${D},${R},${F}`;
}

function draw({ H, D, R, F }: RotationShape, seed: number): Float32Array {
  const values = new Float32Array(H * D * R * F);
  let at = 0;
  for (let h = 0; h < H; h++) {
    for (let d = 0; d < D; d++) {
      for (let r = 0; r < R; r++) {
        for (let column = 0; column < F; column += 4) {
          const words = philox([column / 4, d, r, h], [seed, STREAM]);
          for (let i = 0; i < 4 && column + i < F; i++) {
            values[at++] = normalFromWord(words[i] as number);
          }
        }
      }
    }
  }
  return values;
}
