/** tfjs's pool of buffers, which keys them by exact size and never shrinks: without this, every new shape would stay. */

/** The pool, of which tfjs declares the least. */
export interface BufferPool {
  readonly freeBuffers: ReadonlyMap<string, GPUBuffer[]>;
  readonly usedBuffers: ReadonlyMap<string, readonly GPUBuffer[]>;
  numFreeBuffers: number;
  readonly numBytesUsed: number;
  numBytesAllocated: number;
  releaseBuffer(buffer: GPUBuffer, reuse?: boolean): void;
}

/** Bytes that may be spare whatever is in use. */
const LEAST_SPARE = 2 ** 26;

/** Most bytes in use at once, as far as was seen. */
const peaks = new WeakMap<BufferPool, number>();

/**
 * Empties the pool where it keeps more than twice of what was ever in use at once: what repeats a few shapes, as
 * training does, never gets there.
 */
export function boundPool(pool: BufferPool): void {
  const peak = Math.max(pool.numBytesUsed, peaks.get(pool) ?? 0);
  peaks.set(pool, peak);
  if (pool.numBytesAllocated - pool.numBytesUsed > 2 * peak + LEAST_SPARE) {
    emptyPool(pool);
  }
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
