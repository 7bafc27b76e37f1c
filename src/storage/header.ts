/**
 * The safetensors format: the header's length as 64 bits, little-endian; the header, JSON; the tensors' bytes
 * without gaps. https://github.com/huggingface/safetensors#format
 */

/** Bytes of the header's length, at the start of the file. */
export const PREFIX_BYTES = 8;
/** The entry of a header that is no tensor. */
export const METADATA = '__metadata__';
/** The longest header that the reference implementation reads. */
const MOST_HEADER_BYTES = 100_000_000;

/** The format's dtypes of whole bytes, and how many. */
const ELEMENT_BYTES = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, F8_E5M2: 1, F8_E4M3: 1, BOOL: 1 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1 },
} as const;

export type Dtype = keyof typeof ELEMENT_BYTES;

/** Where a tensor lies in a file. */
export interface Entry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Its first byte, counted from the start of the file. */
  readonly start: number;
  /** The byte after its last. */
  readonly end: number;
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly entries: ReadonlyMap<string, Entry>;
}

/** Turns what is wrong with a file into an error that names it. */
export type Refuse = (problem: string) => Error;

/** The byte after the header, from the first bytes of a file of `fileBytes`. */
export function headerEnd(prefix: Uint8Array, fileBytes: number, refuse: Refuse): number {
  if (fileBytes < PREFIX_BYTES) {
    throw refuse(`it has ${fileBytes} bytes, fewer than the ${PREFIX_BYTES} of a header's length`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(Math.min(MOST_HEADER_BYTES, fileBytes - PREFIX_BYTES))) {
    throw refuse(`it begins with a header of ${length} bytes, and has ${fileBytes} in all`);
  }
  return PREFIX_BYTES + Number(length);
}

/** Reads the bytes of a header, and refuses all that does not describe a file of `fileBytes` exactly. */
export function parseHeader(bytes: Uint8Array, fileBytes: number, refuse: Refuse): Header {
  const { [METADATA]: metadata, ...tensors } = parseObject(bytes, refuse);
  const start = PREFIX_BYTES + bytes.length;
  const entries = Object.entries(tensors)
    .map(([name, value]): [string, Entry] => [name, entryOf(name, value, start, refuse)])
    // A tensor without elements goes before the one that begins at the same byte.
    .sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let end = start;
  for (const [name, entry] of entries) {
    if (entry.start !== end) {
      throw refuse(`\`${name}\` begins at byte ${entry.start}, and what is before it ends at byte ${end}`);
    }
    end = entry.end;
  }
  if (end !== fileBytes) {
    throw refuse(`its header describes ${end} bytes, and it has ${fileBytes}`);
  }
  return { metadata: metadataOf(metadata, refuse), entries: new Map(entries) };
}

/** The start of a file with these tensors, one after the other in the order given; the tensors begin at a multiple of 8. */
export function writeHeader(
  tensors: Iterable<readonly [string, { readonly dtype: Dtype; readonly shape: readonly number[] }]>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const described: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  let offset = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const end = offset + byteCount(dtype, shape);
    described.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(described)));
  const length = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(PREFIX_BYTES + length).fill(0x20, PREFIX_BYTES + json.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.set(json, PREFIX_BYTES);
  return file;
}

/** Bytes of a tensor; NaN where that is no number that counts exactly. */
export function byteCount(dtype: Dtype, shape: readonly number[]): number {
  const bytes = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
  return Number.isSafeInteger(bytes) ? bytes : Number.NaN;
}

function parseObject(bytes: Uint8Array, refuse: Refuse): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    throw refuse('its header is not JSON');
  }
  if (!isObject(header) || !text.startsWith('{')) {
    throw refuse('its header is not a JSON object');
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) {
    throw refuse(`its header names \`${repeated}\` twice`);
  }
  return header;
}

/** A key that an object of a JSON text has twice; JSON.parse would keep the last without a word. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === '{') {
      open.push(new Set());
    } else if (token === '}') {
      open.pop();
    } else if (colon !== undefined) {
      const key = JSON.parse(text as string) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) {
        return key;
      }
      keys?.add(key);
    }
  }
  return undefined;
}

function entryOf(name: string, value: unknown, start: number, refuse: Refuse): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw refuse(`\`${name}\` has no dtype, shape and data_offsets that can be read`);
  }
  if (!isDtype(dtype)) {
    throw refuse(`\`${name}\` is of the unknown dtype ${dtype}`);
  }
  const [from, to] = offsets as [number, number];
  if (to - from !== byteCount(dtype, shape)) {
    throw refuse(`\`${name}\`, ${dtype} [${shape}], cannot lie in the bytes ${from} to ${to}`);
  }
  return { dtype, shape, start: start + from, end: start + to };
}

function metadataOf(value: unknown, refuse: Refuse): Record<string, string> {
  if (value === undefined) {
    return {};
  }
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== 'string')) {
    throw refuse(`its \`${METADATA}\` is not an object of strings`);
  }
  return value as Record<string, string>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isDtype(name: string): name is Dtype {
  return Object.hasOwn(ELEMENT_BYTES, name);
}
