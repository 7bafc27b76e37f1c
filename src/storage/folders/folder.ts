/** A folder of files to read from, wherever it is: on a disk, on a server, in a file picker, or one's own. */
export interface Folder {
  /** The bytes of a file; undefined where there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** The bytes of a file from `start` to before `end`. */
  read(name: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A folder to write to. */
export interface FolderTarget {
  /** Writes a file whole, in place of an earlier one of the name. */
  write(name: string, content: Blob): Promise<void> | void;
}

/** A file to be written, in pieces that are made when they are asked for. */
export interface NewFile {
  readonly name: string;
  readonly content: Iterable<Uint8Array<ArrayBuffer>> | AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** What reading tells while it goes on, and asks. */
export interface Reading {
  /** Called when `count` more bytes of a file came in. */
  readonly onBytes: (name: string, count: number) => void;
  readonly signal?: AbortSignal | undefined;
}
