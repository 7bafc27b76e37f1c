/** MinHash in arbitrary precision: slow, and without a trick. */

export type OracleScheme = 'fmix32' | 'datasketch' | 'csharp-fnv';

const WORD = 2n ** 32n;

/** The least hash of a set's words under each function, whose four constants are `[k, 4]`. */
export function minima(
  words: Iterable<number>,
  constants: ArrayLike<number>,
  scheme: OracleScheme,
): number[] {
  return Array.from({ length: constants.length / 4 }, (_, i) => {
    const [a, b, c, d] = [0, 1, 2, 3].map((part) => BigInt(constants[4 * i + part] as number)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const hash = {
      fmix32: (x: bigint) => mixed(x ^ a),
      datasketch: (x: bigint) =>
        ((((a * WORD + b) * x + c * WORD + d) % 2n ** 64n) % (2n ** 61n - 1n)) % WORD,
      'csharp-fnv': (x: bigint) => x ^ a,
    }[scheme];
    return Number(
      Array.from(words, (word) => hash(BigInt(word))).reduce(
        (least, h) => (h < least ? h : least),
        WORD - 1n,
      ),
    );
  });
}

/** The finaliser of MurmurHash3. */
function mixed(word: bigint): bigint {
  let h = word ^ (word >> 16n);
  h = (h * 0x85ebca6bn) % WORD;
  h ^= h >> 13n;
  h = (h * 0xc2b2ae35n) % WORD;
  return h ^ (h >> 16n);
}

/** Shared members over all members, by lists. */
export function jaccardOf(a: readonly unknown[], b: readonly unknown[]): number {
  const [first, second] = [[...new Set(a)], [...new Set(b)]];
  const both = first.filter((one) => second.includes(one)).length;
  const all = first.length + second.length - both;
  return all === 0 ? 1 : both / all;
}
