import type { Folder, NewFile } from './folder.js';

/** Node's file system, had without an import that bundlers for browsers would stumble over; undefined in browsers. */
export function nodeModules() {
  const node = globalThis.process;
  return node?.getBuiltinModule === undefined
    ? undefined
    : {
        fs: node.getBuiltinModule('node:fs/promises'),
        path: node.getBuiltinModule('node:path'),
        url: node.getBuiltinModule('node:url'),
      };
}

export type NodeModules = NonNullable<ReturnType<typeof nodeModules>>;

/** A folder on the disk. */
export function nodeFolder(folder: string, { fs, path }: NodeModules): Folder {
  return {
    async size(name) {
      try {
        const found = await fs.stat(path.join(folder, name));
        return found.isFile() ? found.size : undefined;
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
          return undefined;
        }
        throw error;
      }
    },
    async read(name, start, end) {
      const bytes = new Uint8Array(end - start);
      const file = await fs.open(path.join(folder, name));
      try {
        let done = 0;
        let bytesRead = -1;
        while (done < bytes.length && bytesRead !== 0) {
          ({ bytesRead } = await file.read(bytes, done, bytes.length - done, start + done));
          done += bytesRead;
        }
        return bytes.subarray(0, done);
      } finally {
        await file.close();
      }
    },
  };
}

/**
 * Writes files beside those that they replace, and renames them once all are whole: until then, and when anything
 * fails, the earlier ones stay. Files for which `isObsolete` are removed at the end.
 */
export async function replaceFiles(
  folder: string,
  files: readonly NewFile[],
  isObsolete: (name: string) => boolean,
  { fs, path }: NodeModules,
): Promise<void> {
  await fs.mkdir(folder, { recursive: true });
  const partial = (name: string) => path.join(folder, `${name}.partial`);
  try {
    for (const { name, content } of files) {
      const file = await fs.open(partial(name), 'w');
      try {
        for await (const bytes of content) {
          await file.writeFile(bytes);
        }
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const { name } of files) {
      await fs.rename(partial(name), path.join(folder, name));
    }
  } finally {
    await Promise.allSettled(files.map(({ name }) => fs.rm(partial(name), { force: true })));
  }
  const written = new Set(files.map(({ name }) => name));
  const obsolete = (await fs.readdir(folder)).filter((name) => isObsolete(name) && !written.has(name));
  await Promise.all(obsolete.map((name) => fs.rm(path.join(folder, name))));
}
