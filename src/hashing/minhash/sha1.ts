/** SHA-1 (FIPS 180-4), of which datasketch takes four bytes. No secret is kept by it. */

const BLOCK = 64;

/** The first four bytes of the SHA-1 digest, as a little-endian word. */
export function sha1Word(bytes: Uint8Array): number {
  const first = digestWord(bytes);
  return ((first >>> 24) | ((first >>> 8) & 0xff00) | ((first << 8) & 0xff0000) | (first << 24)) >>> 0;
}

/** The first 32 bits of the digest. */
function digestWord(bytes: Uint8Array): number {
  const view = paddedBlocks(bytes);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const schedule = new Int32Array(80);
  for (let block = 0; block < view.byteLength; block += BLOCK) {
    for (let t = 0; t < 80; t++) {
      schedule[t] =
        t < 16
          ? view.getInt32(block + 4 * t)
          : rotated(word(t - 3) ^ word(t - 8) ^ word(t - 14) ^ word(t - 16), 1);
    }
    addBlock(state, schedule);
  }
  return state[0] as number;

  function word(t: number): number {
    return schedule[t] as number;
  }
}

/** The message, a one bit, zeros, and its length in bits. */
function paddedBlocks(bytes: Uint8Array): DataView {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  return view;
}

function addBlock(state: Int32Array, schedule: Int32Array): void {
  let [a, b, c, d, e] = state as unknown as [number, number, number, number, number];
  for (let t = 0; t < 80; t++) {
    const [mixed, constant] =
      t < 20
        ? [(b & c) | (~b & d), 0x5a827999]
        : t < 40
          ? [b ^ c ^ d, 0x6ed9eba1]
          : t < 60
            ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
            : [b ^ c ^ d, 0xca62c1d6];
    const next = (rotated(a, 5) + mixed + e + constant + (schedule[t] as number)) | 0;
    [e, d, c, b, a] = [d, c, rotated(b, 30), a, next];
  }
  for (const [i, part] of [a, b, c, d, e].entries()) {
    state[i] = (state[i] as number) + part;
  }
}

function rotated(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
