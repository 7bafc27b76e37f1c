import type { Folder } from './folder.js';

/** Blobs by name as a folder. */
export function blobFolder(blobs: ReadonlyMap<string, Blob>): Folder {
  return {
    size: async (name) => blobs.get(name)?.size,
    async read(name, start, end) {
      const part = blobs.get(name)?.slice(start, end) ?? new Blob();
      return new Uint8Array(await part.arrayBuffer());
    },
  };
}

/** The files of a picker; where a whole folder was picked, by their paths in it. */
export function pickedFiles(files: Iterable<File>): Map<string, File> {
  return new Map(
    Array.from(files, (file) => {
      const [, ...path] = (file.webkitRelativePath ?? '').split('/');
      return [path.join('/') || file.name, file];
    }),
  );
}
