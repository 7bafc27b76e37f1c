/** Random numbers that a run finds again where it was left. */

/** Numbers in [0, 1) for a step of a run, by a multiplicative hash of a counter. */
export function randomNumbers(seed: number, step: number): () => number {
  let counter = mixed(mixed(seed) + step);
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    return mixed(counter) / 2 ** 32;
  };
}

/** A bijective hash of 32 bits: Mueller's, with xor-shifts of 16. */
function mixed(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}
