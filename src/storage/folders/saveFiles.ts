import type { Door } from '../../door.js';
import type { FolderTarget, NewFile } from './folder.js';
import { nodeModules, replaceFiles } from './nodeFolder.js';

/**
 * Writes files to the path of a folder (in Node), or to an object of the caller's. In a folder, files for which `isObsolete`
 * are removed once the new ones are there.
 *
 * @throws TypeError for what is no target, Error where a file cannot be written.
 */
export async function saveFiles(
  target: string | URL | FolderTarget,
  files: readonly NewFile[],
  isObsolete: (name: string) => boolean,
  door: Door,
): Promise<void> {
  if (typeof target === 'string' || target instanceof URL) {
    const node = nodeModules();
    const text = String(target);
    if (node === undefined || /^https?:/i.test(text)) {
      throw door.failure(
        `cannot write to ${text}: only folders of Node can be written by name. Give an object whose \`write(name, blob)\` stores a file.`,
      );
    }
    const path = text.startsWith('file:') ? node.url.fileURLToPath(text) : text;
    await replaceFiles(path, files, isObsolete, node).catch((cause) => {
      // Node's own errors have a code; others are about what was to be written.
      throw 'code' in cause ? door.failure(`${path} cannot be written: ${cause.message}.`, { cause }) : cause;
    });
    return;
  }
  if (typeof target?.write !== 'function') {
    throw door.kind('the target must be the path of a folder, or an object with a method `write`.');
  }
  for (const { name, content } of files) {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of content) {
      parts.push(part);
    }
    try {
      await target.write(name, new Blob(parts));
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : cause;
      throw door.failure(`${name} cannot be written: ${problem}.`, { cause });
    }
  }
}
