/** 16-bit floats, which JavaScript of Node 20 and of today's browsers does not have everywhere. */

/** Finite numbers from here up become infinite as 16-bit floats: half a step above the largest, 65504. */
export const FLOAT16_OVERFLOW = 65520;

let table: Float32Array | undefined;

/** The float32 of each 16-bit pattern: all are exact. */
export function decodeFloat16(patterns: Uint16Array): Float32Array<ArrayBuffer> {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, pattern) => float16(pattern));
  const values = new Float32Array(patterns.length);
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
    patterns[i] = ((pattern >>> 16) & 0x8000) | magnitude(number[0] as number, pattern);
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

/** The lower 15 bits of the 16-bit float nearest to a float32 of this pattern. */
function magnitude(value: number, pattern: number): number {
  if (Number.isNaN(value)) {
    return 0x7e00;
  }
  const absolute = Math.abs(value);
  if (absolute >= FLOAT16_OVERFLOW) {
    return 0x7c00;
  }
  // Subnormal numbers have the steps of the smallest normal ones.
  const exponent = Math.max(-14, ((pattern >>> 23) & 255) - 127);
  // Around 2^52 numbers are whole, and a sum is rounded to the nearest, ties to even.
  const steps = absolute / 2 ** (exponent - 10) + 2 ** 52 - 2 ** 52;
  // 2048 steps carry into the exponent, and fewer than 1024 are subnormal.
  return (exponent + 14) * 1024 + steps;
}
