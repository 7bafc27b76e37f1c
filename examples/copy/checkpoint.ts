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

export interface Stored {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface Checkpoint {
  /** Anything that JSON holds. */
  readonly about: unknown;
  readonly tensors: Readonly<Record<string, Stored>>;
}

interface Entry {
  readonly dtype: 'F32';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Bytes of the header's length, at the start of the file. */
const PREFIX = 8;

/** Writes beside `path`, then renames: whenever the process ends, `path` is whole, the old one or the new. */
export function writeCheckpoint(path: string, { about, tensors }: Checkpoint): void {
  const entries: Record<string, Entry> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    entries[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const data = Buffer.concat(parts);
  const metadata = { about: JSON.stringify(about), sha256: digest(data, entries) };
  const header = JSON.stringify({ __metadata__: metadata, ...entries });
  const padded = Buffer.from(header.padEnd(Math.ceil(header.length / PREFIX) * PREFIX));
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeBigUInt64LE(BigInt(padded.length));

  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  const file = openSync(partial, 'w');
  try {
    for (const part of [prefix, padded, data]) {
      writeSync(file, part);
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
  const start = PREFIX + Number(file.readBigUInt64LE());
  const { __metadata__: metadata, ...entries } = JSON.parse(file.toString('utf8', PREFIX, start)) as {
    __metadata__: { about: string; sha256: string };
  } & Record<string, Entry>;
  const data = file.subarray(start);
  if (digest(data, entries) !== metadata.sha256) {
    throw new Error('The digest is another.');
  }
  const tensors = Object.entries(entries).map(([name, { shape, data_offsets }]): [string, Stored] => [
    name,
    // A copy, since a Float32Array begins at a multiple of 4 bytes.
    { shape, values: new Float32Array(Uint8Array.from(data.subarray(...data_offsets)).buffer) },
  ]);
  return { about: JSON.parse(metadata.about), tensors: Object.fromEntries(tensors) };
}

function digest(data: Buffer, entries: Readonly<Record<string, Entry>>): string {
  return createHash('sha256').update(JSON.stringify(entries)).update(data).digest('hex');
}
