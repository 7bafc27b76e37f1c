/** 16-bit floats, which JavaScript of Node 20 and of today's browsers does not have everywhere. */

/** Finite numbers from here up become infinite as 16-bit floats: half a step above the largest, 65504. */
export const FLOAT16_OVERFLOW = 65520;

/** Patterns of float32: 2^-14, from which 16-bit floats are normal; 2^16; infinity; 0.5; and what exponents differ by. */
const [SMALLEST_NORMAL, TOO_LARGE, INFINITE, HALF, REBIASED] = [
  0x38800000, 0x47800000, 0x7f800000, 0x3f000000, 0x38000000,
];

let table: Float32Array | undefined;

/** The float32 of each 16-bit pattern: all are exact. */
export function decodeFloat16(
  patterns: Uint16Array,
  values = new Float32Array(patterns.length),
): Float32Array<ArrayBuffer> {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, pattern) => float16(pattern));
  for (let i = 0; i < patterns.length; i++) {
    values[i] = table[patterns[i] as number] as number;
  }
  return values;
}

/** The upper halves of float32 patterns. */
export function decodeBfloat16(patterns: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(patterns, (pattern) => pattern << 16).buffer);
}

/** The nearest 16-bit floats of numbers as float32, ties to even; infinite from {@link FLOAT16_OVERFLOW} up. */
export function encodeFloat16(values: Float32Array | Float64Array): Uint16Array<ArrayBuffer> {
  const patterns = new Uint16Array(values.length);
  // One number at a time: values may fill much of the memory, and are not copied.
  const number = new Float32Array(1);
  const bits = new Uint32Array(number.buffer);
  for (let i = 0; i < values.length; i++) {
    number[0] = values[i] as number;
    const pattern = bits[0] as number;
    const magnitude = pattern & 0x7fffffff;
    let half = 0x7e00; // not a number
    if (magnitude < SMALLEST_NORMAL) {
      // From 0.5 up float32 has the steps of the subnormal numbers.
      number[0] = Math.abs(number[0] as number) + 0.5;
      half = (bits[0] as number) - HALF;
    } else if (magnitude < TOO_LARGE) {
      // The exponent is another's, and 13 bits are rounded away: half a step, less one where the last that stays is even.
      half = (magnitude - REBIASED + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else if (magnitude <= INFINITE) {
      half = 0x7c00;
    }
    patterns[i] = ((pattern >>> 16) & 0x8000) | half;
  }
  return patterns;
}

function float16(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >> 10) & 31;
  const fraction = pattern & 1023;
  if (exponent === 31) {
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
