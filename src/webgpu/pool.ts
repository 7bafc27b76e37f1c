/** tfjs's pool of buffers, which keys them by exact size and never shrinks: without this, every new shape would stay. */

/** The pool, of which tfjs declares the least. */
export interface BufferPool {
  readonly freeBuffers: ReadonlyMap<string, GPUBuffer[]>;
  readonly usedBuffers: ReadonlyMap<string, readonly GPUBuffer[]>;
  numFreeBuffers: number;
  readonly numBytesUsed: number;
  numBytesAllocated: number;
  acquireBuffer(size: number, usage: number, mapped?: boolean, reuse?: boolean): GPUBuffer;
  releaseBuffer(buffer: GPUBuffer, reuse?: boolean): void;
}

/** Bytes that may be spare whatever is in use. */
const LEAST_SPARE = 2 ** 26;

/** Most bytes in use at once: watched, since much comes and goes between the calls of this package. */
const peaks = new WeakMap<BufferPool, { bytes: number }>();

/**
 * Empties the pool where it keeps more than twice of what was ever in use at once: what repeats a few shapes, as
 * training does, never gets there.
 */
export function boundPool(pool: BufferPool): void {
  const peak = peaks.get(pool) ?? watched(pool);
  if (pool.numBytesAllocated - pool.numBytesUsed > 2 * peak.bytes + LEAST_SPARE) {
    emptyPool(pool);
  }
}

function watched(pool: BufferPool): { readonly bytes: number } {
  const peak = { bytes: pool.numBytesUsed };
  const { acquireBuffer } = pool;
  pool.acquireBuffer = (...args) => {
    const buffer = acquireBuffer.apply(pool, args);
    peak.bytes = Math.max(peak.bytes, pool.numBytesUsed);
    return buffer;
  };
  peaks.set(pool, peak);
  return peak;
}

/** Buffers that may never have been had, and the pools that do not take them back. */
const suspects = new WeakSet<GPUBuffer>();
const guarded = new WeakSet<BufferPool>();

/** Frees every buffer that the device has been asked for, now or when it is given back: it has refused one of them, perhaps. */
export function distrustPool(pool: BufferPool): void {
  emptyPool(pool);
  for (const buffer of [...pool.usedBuffers.values()].flat()) {
    suspects.add(buffer);
  }
  if (!guarded.has(pool)) {
    guarded.add(pool);
    const { releaseBuffer } = pool;
    pool.releaseBuffer = (buffer, reuse = true) =>
      releaseBuffer.call(pool, buffer, reuse && !suspects.has(buffer));
  }
}

/** Frees every spare buffer. Commands already submitted still find it. */
export function emptyPool(pool: BufferPool): void {
  for (const buffers of pool.freeBuffers.values()) {
    for (const buffer of buffers.splice(0)) {
      pool.numFreeBuffers--;
      pool.numBytesAllocated -= buffer.size;
      buffer.destroy();
    }
  }
}
