type Numbers = Uint8Array | Uint16Array | Int32Array | Float32Array | Float64Array;

/** An array of at least `length` numbers that begins with those of another: itself, or a copy at least twice as long. */
export function grown<T extends Numbers>(array: T, length: number): T {
  if (length <= array.length) {
    return array;
  }
  const longer = new (array.constructor as new (length: number) => T)(Math.max(length, 2 * array.length));
  longer.set(array);
  return longer;
}
