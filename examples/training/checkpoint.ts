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
import { parseSafetensors, writeSafetensors } from 'tfjs-lsh-attention/reformer';
import type { Checkpoint } from './resume.js';

/** Writes beside `path`, then renames: whenever the process ends, `path` is whole, the old one or the new. */
export function writeCheckpoint(path: string, { about, tensors }: Checkpoint): void {
  const metadata = { about: JSON.stringify(about) };
  const sha256 = digest(tensors, metadata);
  const bytes = writeSafetensors({ tensors, metadata: { ...metadata, sha256 } });
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
    const { tensors, metadata } = parseSafetensors(readFileSync(path));
    const about = metadata.about as string;
    if (digest(tensors, { about }) !== metadata.sha256) {
      throw new Error('The digest is another.');
    }
    return { about: JSON.parse(about), tensors };
  } catch (cause) {
    throw new Error(
      `The checkpoint ${path} cannot be read: it is damaged, or another program’s. Start over with --fresh, or move it away.`,
      { cause },
    );
  }
}

/** Of the file as it would be without a digest. */
function digest(tensors: Checkpoint['tensors'], metadata: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(writeSafetensors({ tensors, metadata })).digest('hex');
}
