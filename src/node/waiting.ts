/**
 * Dawn's binding for Node asks for finished work in an endless run of `setImmediate`, which takes a whole
 * processor from a GPU that is one, and burns it beside any other. Here it asks at once for a moment, then
 * once a millisecond. It looks `setImmediate` up whenever it asks: while it does, that is another function.
 */

/** How long it asks at once, so that short work is not late. Milliseconds. */
const EAGER = 1;
const PAUSE = 1;

let eagerUntil = 0;

/** Makes waiting for a buffer's contents leave the processor to others. */
export function waitQuietly(buffer: { readonly prototype: GPUBuffer }): void {
  const { prototype } = buffer as { prototype: { mapAsync: GPUBuffer['mapAsync'] } };
  const { mapAsync } = prototype;
  prototype.mapAsync = function (this: GPUBuffer, ...range) {
    eagerUntil = performance.now() + EAGER;
    return quietly(() => mapAsync.apply(this, range));
  };
}

function quietly<T>(native: () => T): T {
  const { setImmediate } = globalThis;
  const later = (ask: () => void) => {
    const again = () => quietly(ask);
    if (performance.now() < eagerUntil) {
      setImmediate(again);
    } else {
      setTimeout(again, PAUSE);
    }
  };
  globalThis.setImmediate = later as typeof setImmediate;
  try {
    return native();
  } finally {
    globalThis.setImmediate = setImmediate;
  }
}
