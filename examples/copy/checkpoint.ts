/** A training run in one file of the safetensors format: tensors, and what is said about them. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { parseSafetensors, type StoredTensor, writeSafetensors } from 'tfjs-lsh-attention/reformer';

export interface Checkpoint {
  /** Anything that JSON holds. */
  readonly about: unknown;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Writes beside `path`, then renames: whenever the process ends, `path` is whole, the old one or the new. */
export function writeCheckpoint(path: string, { about, tensors }: Checkpoint): void {
  const metadata = { about: JSON.stringify(about), sha256: digest(tensors) };
  const bytes = writeSafetensors({ tensors, metadata });

  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  const file = openSync(partial, 'w');
  try {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(file, bytes, written);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(partial, path);
}

/**
 * @returns undefined where there is no such file.
 * @throws Error for a file that {@link writeCheckpoint} did not write, or that was damaged since.
 */
export function readCheckpoint(path: string): Checkpoint | undefined {
  if (!existsSync(path)) {
    return undefined;
  }
  try {
    return parsed(readFileSync(path));
  } catch (cause) {
    throw new Error(
      `The checkpoint ${path} cannot be read: it is damaged, or another program’s. Start over with --fresh, or move it away.`,
      { cause },
    );
  }
}

function parsed(file: Buffer): Checkpoint {
  const { tensors, metadata } = parseSafetensors(file);
  if (metadata.about === undefined || digest(tensors) !== metadata.sha256) {
    throw new Error('The digest is another.');
  }
  return { about: JSON.parse(metadata.about), tensors };
}

function digest(tensors: Checkpoint['tensors']): string {
  const hash = createHash('sha256');
  for (const [name, { shape, values }] of tensors) {
    hash.update(JSON.stringify([name, shape])).update(values);
  }
  return hash.digest('hex');
}
