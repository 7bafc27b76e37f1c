/** How far the loading of a model is: told from when the sizes of all files of weights are known. */
export interface LoadProgress {
  /** Bytes of the weights that came in. */
  readonly bytes: number;
  /** Bytes of all files of weights. */
  readonly totalBytes: number;
}

/** Adds up what comes in of the files of weights. */
export class Progress {
  private readonly came = new Map<string, number>();
  private sizes: ReadonlyMap<string, number> = new Map();

  constructor(private readonly listener: ((progress: LoadProgress) => void) | undefined) {}

  readonly add = (name: string, count: number): void => {
    this.came.set(name, (this.came.get(name) ?? 0) + count);
    if (this.sizes.has(name)) {
      this.tell();
    }
  };

  /** Tells of these files from now on, and of what came of them before. */
  begin(sizes: ReadonlyMap<string, number>): void {
    this.sizes = sizes;
    this.tell();
  }

  private tell(): void {
    let [bytes, totalBytes] = [0, 0];
    for (const [name, size] of this.sizes) {
      bytes += this.came.get(name) ?? 0;
      totalBytes += size;
    }
    this.listener?.({ bytes, totalBytes });
  }
}
