import type { Folder, Reading } from './folder.js';

/** Bytes of a first request, which also tells the size: enough for most headers, and for small files whole. */
const FIRST_BYTES = 2 ** 16;

/** What is known of a file. */
interface Known {
  readonly size: number;
  /** Its first bytes; from a server without ranges all of them, once they are wanted. */
  held?: Blob;
}

/** A folder on a server. Parts of files are asked for by ranges; where the server knows none, whole files are kept. */
export class UrlFolder implements Folder {
  private readonly files = new Map<string, Known | undefined>();

  constructor(
    private readonly folder: URL,
    private readonly reading: Reading,
  ) {}

  async size(name: string): Promise<number | undefined> {
    if (!this.files.has(name)) {
      this.files.set(name, await this.begin(name));
    }
    return this.files.get(name)?.size;
  }

  async read(name: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const size = await this.size(name);
    const known = this.files.get(name) as Known;
    known.held ??= await this.body(name, await this.whole(name));
    const part = known.held.slice(start, end);
    if (part.size === end - start || known.held.size === size) {
      return new Uint8Array(await part.arrayBuffer());
    }
    const response = await this.get(name, start + part.size, end);
    const range = rangeOf(response);
    if (response.status !== 206 || range?.size !== size || range?.start !== start + part.size) {
      throw await refused(response, 'answered a second request otherwise than the first');
    }
    return new Uint8Array(await new Blob([part, await this.body(name, response)]).arrayBuffer());
  }

  /** Asks for the first bytes, and learns the size; undefined where there is no such file. */
  private async begin(name: string): Promise<Known | undefined> {
    const response = await this.get(name, 0, FIRST_BYTES);
    // Servers of web pages answer with a page in place of a file that is not there.
    const isPage = response.ok && /^text\/html/.test(response.headers.get('content-type') ?? '');
    if ([404, 410].includes(response.status) || isPage) {
      await response.body?.cancel();
      return undefined;
    }
    const range = response.status === 206 ? rangeOf(response) : undefined;
    if (range !== undefined) {
      return { size: range.size, held: await this.body(name, response) };
    }
    if (response.status === 206) {
      // Pages of other origins are not told the range, unless the server says otherwise.
      await response.body?.cancel();
      return await this.measured(name, await this.whole(name));
    }
    return await this.measured(name, await succeeded(response));
  }

  /** The size of a file that comes whole, without its bytes where the response tells. */
  private async measured(name: string, response: Response): Promise<Known> {
    const length = response.headers.get('content-length');
    if (length !== null && !response.headers.has('content-encoding')) {
      await response.body?.cancel();
      return { size: Number(length) };
    }
    const held = await this.body(name, response);
    return { size: held.size, held };
  }

  private async body(name: string, { body }: Response): Promise<Blob> {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const reader = body?.getReader();
    for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
      pieces.push(piece.value);
      this.reading.onBytes(name, piece.value.length);
    }
    return new Blob(pieces);
  }

  private async whole(name: string): Promise<Response> {
    return await succeeded(await this.request(name, {}));
  }

  private async get(name: string, start: number, end: number): Promise<Response> {
    return await this.request(name, { range: `bytes=${start}-${end - 1}` });
  }

  private async request(name: string, headers: Record<string, string>): Promise<Response> {
    const url = new URL(this.folder);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${name}`;
    return await fetch(url, { headers, signal: this.reading.signal ?? null });
  }
}

async function succeeded(response: Response): Promise<Response> {
  if (response.status !== 200) {
    throw await refused(response, `answered ${response.status} ${response.statusText}`.trim());
  }
  return response;
}

async function refused(response: Response, problem: string): Promise<Error> {
  await response.body?.cancel();
  return new Error(`the server ${problem}`);
}

/** A part's first byte in its file, and the file's size, if the response tells. */
function rangeOf({ headers }: Response): { start: number; size: number } | undefined {
  const [, start, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
  return start === undefined ? undefined : { start: Number(start), size: Number(size) };
}
