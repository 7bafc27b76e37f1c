/** Whole files of the safetensors format in memory, and the values of their tensors. */
import { Door, show } from '../door.js';
import { decodeBfloat16, decodeFloat16 } from './float16.js';
import {
  byteCount,
  type Dtype,
  headerEnd,
  METADATA,
  PREFIX_BYTES,
  parseHeader,
  type Refuse,
  writeHeader,
} from './header.js';

/** Numbers of a tensor, row after row. */
export type Values = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** A tensor's shape and values. */
export interface StoredTensor {
  /** Lengths of its axes; none for a scalar. */
  readonly shape: readonly number[];
  /** As many as the shape says. */
  readonly values: Values;
}

/** What a safetensors file holds. */
export interface Safetensors {
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Free text by name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Reads a safetensors file. 16-bit floats (`F16`, `BF16`) become float32, and 64-bit integers int32.
 *
 * @param file its bytes; borrowed, and copied.
 * @throws Error for a file that is truncated or damaged, or that has tensors of other dtypes.
 */
export function parseSafetensors(file: Uint8Array): Required<Safetensors> {
  if (!(file instanceof Uint8Array)) {
    throw new TypeError('parseSafetensors: `file` must be a Uint8Array. Wrap an ArrayBuffer in one.');
  }
  const refuse: Refuse = (problem) =>
    new Error(`parseSafetensors: the file is damaged, or of another format: ${problem}. Get it again.`);
  const dataStart = headerEnd(file, file.length, refuse);
  const { metadata, entries } = parseHeader(file.subarray(PREFIX_BYTES, dataStart), file.length, refuse);
  const tensors = Array.from(entries, ([name, { dtype, shape, start, end }]): [string, StoredTensor] => {
    const unreadable: Refuse = (problem) => new Error(`parseSafetensors: \`${name}\` ${problem}.`);
    return [name, { shape, values: decodeValues(dtype, file.subarray(start, end), unreadable) }];
  });
  return { tensors: new Map(tensors), metadata };
}

/**
 * Writes a safetensors file: tensors in the order given, float32 as `F32`, int32 as `I32`. The same tensors and metadata
 * give the same bytes.
 *
 * @throws TypeError for what are no tensors by name, RangeError for a tensor whose values do not fill its shape, or that is called `__metadata__`.
 */
export function writeSafetensors(contents: Safetensors): Uint8Array<ArrayBuffer> {
  const { tensors, metadata = {} } = checkedContents(contents);
  const described = Array.from(tensors, ([name, { shape, values }]) => {
    const dtype: Dtype = values instanceof Float32Array ? 'F32' : 'I32';
    if (byteCount(dtype, shape) !== values.byteLength) {
      throw door.range(`\`${name}\` must have as many values as its shape [${shape}], got ${values.length}.`);
    }
    if (name === METADATA) {
      throw door.range(`no tensor can be called \`${METADATA}\`. Rename it.`);
    }
    return [name, { dtype, shape }] as const;
  });
  return joined([
    writeHeader(described, metadata),
    ...Array.from(tensors.values(), ({ values }) => bytesOf(values)),
  ]);
}

const door = new Door('writeSafetensors');

function checkedContents(contents: Safetensors): Safetensors {
  const { tensors, metadata = {} } = door.object('contents', contents);
  if (!(tensors instanceof Map)) {
    throw door.kind(`\`tensors\` must be a Map from names to tensors, got ${show(tensors)}.`);
  }
  for (const [name, tensor] of tensors) {
    const { shape, values } = door.object(`tensors['${name}']`, tensor);
    if (!(values instanceof Float32Array || values instanceof Int32Array) || !Array.isArray(shape)) {
      throw door.kind(`\`${name}\` must have a \`shape\`, and \`values\` in a Float32Array or Int32Array.`);
    }
    shape.forEach((size) => {
      door.integer(`tensors['${name}'].shape`, size, 0);
    });
  }
  const strange = Object.entries(door.object('metadata', metadata)).find(
    ([, text]) => typeof text !== 'string',
  );
  if (strange !== undefined) {
    throw door.kind(`\`metadata\` must be texts by name, got ${show(strange[1])} for '${strange[0]}'.`);
  }
  return contents;
}

type FloatDtype = keyof typeof FLOATS;

const FLOATS = {
  F32: (buffer: ArrayBuffer) => new Float32Array(buffer),
  F16: (buffer: ArrayBuffer) => decodeFloat16(new Uint16Array(buffer)),
  BF16: (buffer: ArrayBuffer) => decodeBfloat16(new Uint16Array(buffer)),
} as const;

/** Whether tensors of a dtype are read as float32. */
export function isFloat(dtype: Dtype): dtype is FloatDtype {
  return Object.hasOwn(FLOATS, dtype);
}

/** The values of a tensor of floats, copied from its bytes. */
export function decodeFloats(dtype: FloatDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return FLOATS[dtype](new Uint8Array(bytes).buffer);
}

function decodeValues(dtype: Dtype, bytes: Uint8Array, refuse: Refuse): Values {
  if (isFloat(dtype)) {
    return decodeFloats(dtype, bytes);
  }
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'I32') {
    return new Int32Array(buffer);
  }
  if (dtype === 'I64') {
    return Int32Array.from(new BigInt64Array(buffer), (value) => {
      if (value !== BigInt.asIntN(32, value)) {
        throw refuse(`has the value ${value}, which is no 32-bit integer`);
      }
      return Number(value);
    });
  }
  throw refuse(`is of dtype ${dtype}, and only F32, F16, BF16, I32 and I64 are read`);
}

/** The bytes of a typed array, shared. Little-endian, as every platform of today is. */
export function bytesOf({
  buffer,
  byteOffset,
  byteLength,
}: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** One array of all bytes. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
