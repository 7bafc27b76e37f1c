/** Indexes as files in the safetensors format: what they are in the metadata, their numbers as tensors. */
import {
  type Dtype,
  headerEnd,
  PREFIX_BYTES,
  parseHeader,
  type Refuse,
  writeHeader,
} from '../storage/header.js';
import { bytesOf, joined } from '../storage/safetensors.js';

export type Numbers = Float32Array | Float64Array | Int32Array | Uint32Array | Uint16Array;

/** A tensor of a file. */
export interface FileTensor {
  readonly shape: readonly number[];
  /** Uint16Array: the patterns of 16-bit floats. */
  readonly values: Numbers;
}

/** What a file says of an index. */
export interface IndexFile {
  /** Plain JSON. */
  readonly description: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

/** The layout of descriptions and tensors: a file of a larger number was written by a later version. */
const VERSION = 1;
const FORMAT = 'tfjs-lsh-attention index';

const DTYPES: readonly (readonly [Dtype, new (bytes: ArrayBuffer) => Numbers])[] = [
  ['F32', Float32Array],
  ['F64', Float64Array],
  ['I32', Int32Array],
  ['U32', Uint32Array],
  ['F16', Uint16Array],
];

/** Numbers as a file holds them, a list unless they have another shape. */
export function fileTensor(values: Numbers, shape: readonly number[] = [values.length]): FileTensor {
  return { shape, values };
}

/** The same index gives the same bytes. */
export function writeIndexFile({ description, tensors }: IndexFile): Uint8Array<ArrayBuffer> {
  const described = Array.from(tensors, ([name, { shape, values }]) => {
    const [dtype] = DTYPES.find(([, { name }]) => name === values.constructor.name) as [Dtype, unknown];
    return [name, { dtype, shape }] as const;
  });
  const metadata = { format: FORMAT, version: String(VERSION), index: JSON.stringify(description) };
  const bytes = Array.from(tensors.values(), ({ values }) => bytesOf(values as ArrayBufferView<ArrayBuffer>));
  return joined([writeHeader(described, metadata), ...bytes]);
}

/** Reads a file, and refuses all that is not a whole index of this version or an earlier one. */
export function readIndexFile(file: Uint8Array, refuse: Refuse): IndexFile {
  const dataStart = headerEnd(file, file.length, refuse);
  const { metadata, entries } = parseHeader(file.subarray(PREFIX_BYTES, dataStart), file.length, refuse);
  if (metadata.format !== FORMAT) {
    throw refuse('it is no index');
  }
  const version = Number(metadata.version);
  if (!(version <= VERSION)) {
    throw refuse(`it is of version ${metadata.version}, and this package reads up to ${VERSION}: update it`);
  }
  const tensors = Array.from(entries, ([name, { dtype, shape, start, end }]): [string, FileTensor] => {
    const [, Values] = DTYPES.find(([known]) => known === dtype) ?? [];
    if (Values === undefined) {
      throw refuse(`\`${name}\` is of dtype ${dtype}, which no index has`);
    }
    return [name, { shape, values: new Values(new Uint8Array(file.subarray(start, end)).buffer) }];
  });
  try {
    const description = JSON.parse(metadata.index ?? '');
    if (typeof description === 'object' && description !== null) {
      return { description, tensors: new Map(tensors) };
    }
  } catch {
    // Said below.
  }
  throw refuse('it does not say what index it holds');
}
