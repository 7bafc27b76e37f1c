import type { VectorFamily } from '../src/search/index.js';
import { normals } from './inputs.js';

/** Pairs of vectors at an angle for each family. */
const PAIRS = 100;

/** Codes `[tables, n]` of rows, by whatever is to be tested. */
export type Hash = (family: VectorFamily, rows: Float32Array) => Int32Array | Promise<Int32Array>;

/** The share of the codes of vectors at an angle that agree: bits of hyperplanes, whole codes of cross-polytopes. */
export async function agreement(
  hash: Hash,
  families: readonly VectorFamily[],
  degrees: number,
): Promise<number> {
  let same = 0;
  let all = 0;
  for (const [seed, family] of families.entries()) {
    const { tables, bits } = family;
    const codes = await hash(family, pairsAt(degrees, family.D, seed));
    for (let i = 0; i < tables * 2 * PAIRS; i += 2) {
      let differing = (codes[i] as number) ^ (codes[i + 1] as number);
      all += bits || 1;
      same += bits || Number(differing === 0);
      for (; bits > 0 && differing !== 0; differing &= differing - 1) {
        same--;
      }
    }
  }
  return same / all;
}

/** Unit vectors, each two at an angle. */
function pairsAt(degrees: number, D: number, seed: number): Float32Array {
  const angle = (degrees * Math.PI) / 180;
  const rows = new Float32Array(2 * PAIRS * D);
  for (let pair = 0; pair < PAIRS; pair++) {
    const first = unit(normals(D, 1000 * seed + 2 * pair + 1, false));
    const other = normals(D, 1000 * seed + 2 * pair + 2, false);
    const along = other.reduce((sum, x, d) => sum + x * (first[d] as number), 0);
    const across = unit(other.map((x, d) => x - along * (first[d] as number)));
    rows.set(first, 2 * pair * D);
    rows.set(
      first.map((x, d) => Math.cos(angle) * x + Math.sin(angle) * (across[d] as number)),
      (2 * pair + 1) * D,
    );
  }
  return rows;
}

function unit(x: Float32Array): Float32Array {
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
}
