/** Random numbers with outliers, one pool for all cases and processes: a tensor is a part of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the tensors of an input set begin in the pool. */
export interface InputSet {
  /** Queries; in attention with shared queries and keys these too. */
  readonly q: number;
  readonly k: number;
  readonly v: number;
}

/** Sets that take turns, so that no cache is what is measured. */
export const SETS: readonly InputSet[] = [0, 1, 2].map((n) => ({
  // Odd offsets: no row of one tensor is a row of another.
  q: 10_007 * n,
  k: 100_003 + 10_007 * n,
  v: 200_003 + 10_007 * n,
}));
const LAST_START = 200_003 + 10_007 * 2;

/** Every so many numbers one is this many times as large. */
const OUTLIER_EVERY = 997;
const OUTLIER = 8;

export class Inputs {
  private pool = new Float32Array(0);
  private folder: string | undefined;

  /** A tensor of `count` numbers that begins at `start`. */
  part(start: number, count: number): Float32Array {
    this.grow(count);
    return this.pool.subarray(start, start + count);
  }

  /** A file that holds tensors of `count` numbers, for other processes. */
  file(count: number): string {
    const grown = this.grow(count);
    const known = this.folder !== undefined;
    this.folder ??= mkdtempSync(join(tmpdir(), 'lsh-bench-'));
    const path = join(this.folder, 'inputs.f32');
    if (grown || !known) {
      writeFileSync(path, new Uint8Array(this.pool.buffer));
    }
    return path;
  }

  /** A file for another process to write. */
  outputFile(): string {
    this.folder ??= mkdtempSync(join(tmpdir(), 'lsh-bench-'));
    return join(this.folder, 'output.f32');
  }

  dispose(): void {
    if (this.folder !== undefined) {
      rmSync(this.folder, { recursive: true, force: true });
      this.folder = undefined;
    }
  }

  private grow(count: number): boolean {
    const size = LAST_START + count;
    if (size <= this.pool.length) {
      return false;
    }
    // The same numbers from the start, however far the pool reaches.
    this.pool = normals(size);
    if (this.folder !== undefined) {
      rmSync(this.folder, { recursive: true, force: true });
      this.folder = undefined;
    }
    return true;
  }
}

/** Normal numbers from a fixed seed (xorshift32, Box and Muller), with outliers. */
function normals(count: number): Float32Array<ArrayBuffer> {
  let state = 0x9e3779b9;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(next()));
    const angle = 2 * Math.PI * next();
    values[i] = radius * Math.cos(angle) * (i % OUTLIER_EVERY === 7 ? OUTLIER : 1);
    values[i + 1] = radius * Math.sin(angle) * ((i + 1) % OUTLIER_EVERY === 7 ? OUTLIER : 1);
  }
  return values;
}
