import type { Door } from '../../door.js';
import { blobFolder, pickedFiles } from './blobFolder.js';
import type { Folder, Reading } from './folder.js';
import { nodeFolder, nodeModules } from './nodeFolder.js';
import { UrlFolder } from './urlFolder.js';

/**
 * Where files are read from: the path of a folder (in Node), the URL of one (relative ones are the page's), the files of a
 * picker (`<input type="file" multiple>`, or `webkitdirectory`), or an object of one's own.
 */
export type FolderSource = string | URL | FileList | readonly File[] | Folder;

/** A folder whose answers are checked: errors name the function, the file and the folder. */
export interface OpenFolder extends Folder {
  /** The folder's name for people. */
  readonly place: string;
}

/** @throws TypeError for what is no source. */
export function openFolder(source: FolderSource, door: Door, reading: Reading): OpenFolder {
  const { folder, place } = tried(source, door, reading);
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    reading.signal?.throwIfAborted();
    try {
      return await work();
    } catch (cause) {
      reading.signal?.throwIfAborted();
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw door.failure(`${name} in ${place} cannot be read: ${problem}.`, { cause });
    }
  };
  return {
    place,
    size: (name) => attempt(name, async () => await folder.size(name)),
    read: (name, start, end) =>
      attempt(name, async () => {
        const bytes = await folder.read(name, start, end);
        if (!(bytes instanceof Uint8Array) || bytes.length !== end - start) {
          throw new Error(`bytes ${start} to ${end} were asked for, and ${bytes?.length ?? 'none'} came`);
        }
        return bytes;
      }),
  };
}

/** What the source is; texts that name no place are refused. */
function tried(source: FolderSource, door: Door, reading: Reading): { folder: Folder; place: string } {
  try {
    return found(source, door, reading);
  } catch (cause) {
    if (typeof source !== 'string' && !(source instanceof URL)) {
      throw cause;
    }
    throw door.range(`'${source}' is no URL that files can be read from. Give a whole one, or a path.`);
  }
}

function found(source: FolderSource, door: Door, reading: Reading): { folder: Folder; place: string } {
  const node = nodeModules();
  if (typeof source === 'string' || source instanceof URL) {
    const text = String(source);
    if (node !== undefined && !/^https?:/i.test(text)) {
      const path = text.startsWith('file:') ? node.url.fileURLToPath(text) : text;
      return { folder: told(nodeFolder(path, node), reading), place: path };
    }
    return { folder: new UrlFolder(new URL(text, globalThis.location?.href), reading), place: text };
  }
  if (isFiles(source)) {
    return { folder: told(blobFolder(pickedFiles(source)), reading), place: 'the files given' };
  }
  if (typeof source?.size !== 'function' || typeof source.read !== 'function') {
    throw door.kind(
      'the source must be a path, a URL, a list of File objects, or an object with the methods `size` and `read`.',
    );
  }
  return { folder: told(source, reading), place: 'the folder given' };
}

function isFiles(source: unknown): source is FileList | readonly File[] {
  return (
    typeof source === 'object' &&
    source !== null &&
    Symbol.iterator in source &&
    Array.from(source as Iterable<unknown>).every((file) => file instanceof Blob)
  );
}

/** A folder that tells what it has read. */
function told(folder: Folder, { onBytes }: Reading): Folder {
  return {
    size: (name) => folder.size(name),
    read: async (name, start, end) => {
      const bytes = await folder.read(name, start, end);
      onBytes(name, end - start);
      return bytes;
    },
  };
}
