/** Where an attention weight stands: batch row, head, round, query and key token. */
export interface Place {
  readonly b: number;
  readonly h: number;
  readonly r: number;
  readonly i: number;
  readonly j: number;
}

/** The PCG hash of a 32-bit number: a step of a linear congruential generator, then its RXS-M-XS output. */
function pcg(x: number): number {
  const state = (Math.imul(x, 747796405) + 2891336453) >>> 0;
  const shifted = state >>> ((state >>> 28) + 4);
  const word = Math.imul(shifted ^ state, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
}

/** The 32 random bits of a place. */
export function dropoutWord(seed: number, { b, h, r, i, j }: Place): number {
  let key = pcg(seed ^ 0x64726f70);
  for (const coordinate of [b, h, r, i]) {
    key = pcg((key + coordinate) >>> 0);
  }
  return pcg((key + pcg(j)) >>> 0);
}

/** What the weight of a place is multiplied by: 0 with probability `dropout`, else 1/(1 − dropout). */
export function keptFactor(dropout: number, seed: number, place: Place): number {
  const threshold = Math.min(2 ** 32 - 1, Math.round(dropout * 2 ** 32));
  return dropoutWord(seed, place) < threshold ? 0 : 1 / (1 - dropout);
}
