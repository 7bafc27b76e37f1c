import attendBackwardKey from '../../kernels/attend/backward_key.wgsl?raw';
import attendBackwardKeySubgroup from '../../kernels/attend/backward_key_subgroup.wgsl?raw';
import attendBackwardQuery from '../../kernels/attend/backward_query.wgsl?raw';
import attendBackwardQuerySubgroup from '../../kernels/attend/backward_query_subgroup.wgsl?raw';
import attendDelta from '../../kernels/attend/delta.wgsl?raw';
import attendForward from '../../kernels/attend/forward.wgsl?raw';
import attendForwardSubgroup from '../../kernels/attend/forward_subgroup.wgsl?raw';
import attendHalve from '../../kernels/attend/halve.wgsl?raw';
import attendNormalise from '../../kernels/attend/normalise.wgsl?raw';
import decodeAttend from '../../kernels/decode/attend.wgsl?raw';
import decodeCopy from '../../kernels/decode/copy.wgsl?raw';
import decodeLink from '../../kernels/decode/link.wgsl?raw';
import denseBackwardKey from '../../kernels/dense/backward_key.wgsl?raw';
import denseBackwardKeySubgroup from '../../kernels/dense/backward_key_subgroup.wgsl?raw';
import denseBackwardQuery from '../../kernels/dense/backward_query.wgsl?raw';
import denseBackwardQuerySubgroup from '../../kernels/dense/backward_query_subgroup.wgsl?raw';
import denseDelta from '../../kernels/dense/delta.wgsl?raw';
import denseForward from '../../kernels/dense/forward.wgsl?raw';
import denseForwardSubgroup from '../../kernels/dense/forward_subgroup.wgsl?raw';
import hashHadamard from '../../kernels/hash/hadamard.wgsl?raw';
import hashMinhash from '../../kernels/hash/minhash.wgsl?raw';
import hashRotate from '../../kernels/hash/rotate.wgsl?raw';
import hashRotateSubgroup from '../../kernels/hash/rotate_subgroup.wgsl?raw';
import probeCopy from '../../kernels/probe/copy.wgsl?raw';
import probeMultiply from '../../kernels/probe/multiply.wgsl?raw';
import searchHamming from '../../kernels/search/hamming.wgsl?raw';
import searchRerank from '../../kernels/search/rerank.wgsl?raw';
import searchTopk from '../../kernels/search/topk.wgsl?raw';
import sortArrange from '../../kernels/sort/arrange.wgsl?raw';
import sortCount from '../../kernels/sort/count.wgsl?raw';
import sortPlace from '../../kernels/sort/place.wgsl?raw';
import sortScan from '../../kernels/sort/scan.wgsl?raw';

/** How a kernel uses a buffer. */
export type Access = 'read' | 'write';

/** A field of a kernel's `Params`: one number, or `length` of them. */
export interface Field {
  readonly name: string;
  readonly type: 'u32' | 'f32';
  readonly length?: number;
}

/** What the host must know of a WGSL module; a test compares it with the module itself. */
export interface Kernel {
  readonly code: string;
  /** The fields of `Params`, in order. `workgroups` is filled in from the dispatch. */
  readonly params: readonly Field[];
  /** Buffers by the name of their binding, in order, from binding 1 on. */
  readonly buffers: Readonly<Record<string, Access>>;
}

const u32 = (...names: string[]): Field[] => names.map((name) => ({ name, type: 'u32' }));

/** What every kernel that walks over pairs begins with. */
const PAIR_PARAMS: readonly Field[] = [
  ...u32('L', 'D', 'E', 'R', 'C', 'P', 'A', 'N', 'round', 'tiles', 'workgroups'),
  ...u32('qkStart', 'vStart', 'bucketsStart', 'windowsStart'),
  ...u32('bucketWindow', 'causal', 'wrap', 'acrossBuckets', 'correct'),
];
const SCALES: readonly Field[] = [
  { name: 'logitScale', type: 'f32' },
  { name: 'scale', type: 'f32' },
];
/** … and ends with. */
const DROPOUT_PARAMS: readonly Field[] = [
  ...u32('firstRow', 'H', 'seed', 'dropBelow'),
  { name: 'keep', type: 'f32' },
];
/** What the variants of hash/rotate share. */
const ROTATE = {
  params: [
    ...u32('H', 'L', 'D', 'R', 'F', 'N', 'tiles', 'workgroups', 'firstRow', 'rotationHeads'),
    ...u32('qkStart', 'bucketsStart', 'together'),
    { name: 'halves', type: 'u32', length: 32 },
  ],
  buffers: { qk: 'read', rotations: 'read', mask: 'read', buckets: 'write' },
} satisfies Omit<Kernel, 'code'>;
/** What the variants of attend/forward share. */
const FORWARD = {
  params: [...PAIR_PARAMS, ...u32('outStart', 'lseStart'), { name: 'scale', type: 'f32' }, ...DROPOUT_PARAMS],
  buffers: {
    qk: 'read',
    inverseNorms: 'read',
    v: 'read',
    buckets: 'read',
    index: 'read',
    out: 'write',
    lse: 'write',
  },
} satisfies Omit<Kernel, 'code'>;
const BACKWARD_INPUTS = {
  qk: 'read',
  v: 'read',
  grad: 'read',
  facts: 'read',
  buckets: 'read',
  index: 'read',
} as const;
const BACKWARD_QUERY = {
  params: [...PAIR_PARAMS, ...u32('gradStart', 'dqkStart'), ...SCALES, ...DROPOUT_PARAMS],
  buffers: { ...BACKWARD_INPUTS, dqk: 'write' },
} satisfies Omit<Kernel, 'code'>;
const BACKWARD_KEY = {
  params: [...PAIR_PARAMS, ...u32('gradStart', 'dqkStart', 'dvStart'), ...SCALES, ...DROPOUT_PARAMS],
  buffers: { ...BACKWARD_INPUTS, dqk: 'write', dv: 'write' },
} satisfies Omit<Kernel, 'code'>;

/** What the kernels of exact attention begin with. */
const DENSE_PARAMS: readonly Field[] = [
  ...u32('L', 'Lk', 'D', 'E', 'tiles', 'workgroups', 'qStart', 'kStart', 'vStart'),
  ...u32('causal', 'sharedQk', 'masked', 'maskBatch', 'maskHead', 'maskQuery'),
  ...u32('firstRow', 'H', 'seed', 'dropBelow'),
  { name: 'keep', type: 'f32' },
  { name: 'logitScale', type: 'f32' },
];
const DENSE_BACKWARD_PARAMS: readonly Field[] = [
  ...DENSE_PARAMS,
  ...u32('gradStart', 'dqStart', 'dkStart', 'dvStart'),
  { name: 'scale', type: 'f32' },
];
const DENSE_INPUTS = { q: 'read', k: 'read', v: 'read', mask: 'read' } as const;
const DENSE_BACKWARD_QUERY = {
  params: DENSE_BACKWARD_PARAMS,
  buffers: { ...DENSE_INPUTS, grad: 'read', facts: 'read', dq: 'write' },
} satisfies Omit<Kernel, 'code'>;
const DENSE_BACKWARD_KEY = {
  params: DENSE_BACKWARD_PARAMS,
  buffers: { ...DENSE_INPUTS, grad: 'read', facts: 'read', dk: 'write', dv: 'write' },
} satisfies Omit<Kernel, 'code'>;
const DENSE_FORWARD = {
  params: [...DENSE_PARAMS, ...u32('outStart', 'lseStart')],
  buffers: { ...DENSE_INPUTS, out: 'write', lse: 'write' },
} satisfies Omit<Kernel, 'code'>;

/** Every kernel, by its file below `kernels/`. */
export const kernels = {
  'hash/rotate': { code: hashRotate, ...ROTATE },
  'hash/rotate_subgroup': { code: hashRotateSubgroup, ...ROTATE },
  'hash/hadamard': {
    code: hashHadamard,
    params: [
      ...u32('H', 'L', 'D', 'R', 'F', 'N', 'tiles', 'workgroups', 'firstRow', 'qkStart', 'bucketsStart'),
      { name: 'halves', type: 'u32', length: 20 },
    ],
    buffers: { qk: 'read', signs: 'read', mask: 'read', buckets: 'write' },
  },
  'hash/minhash': {
    code: hashMinhash,
    params: u32('k', 'tiles', 'workgroups'),
    buffers: { words: 'read', offsets: 'read', constants: 'read', signatures: 'write' },
  },
  'sort/count': {
    code: sortCount,
    params: u32('L', 'N', 'slices', 'sliceLength', 'workgroups', 'keysStart'),
    buffers: { keys: 'read', counts: 'write' },
  },
  'sort/scan': {
    code: sortScan,
    params: u32('N', 'slices', 'workgroups', 'windowsStart'),
    buffers: { counts: 'write', index: 'write' },
  },
  'sort/place': {
    code: sortPlace,
    params: u32('L', 'C', 'N', 'slices', 'sliceLength', 'workgroups', 'keysStart', 'windowsStart'),
    buffers: { keys: 'read', counts: 'write', index: 'write' },
  },
  'sort/arrange': {
    code: sortArrange,
    params: u32('L', 'C', 'tiles', 'workgroups'),
    buffers: { index: 'write' },
  },
  'attend/halve': {
    code: attendHalve,
    params: u32('vectors', 'workgroups', 'rowsStart'),
    buffers: { rows: 'read', halves: 'write' },
  },
  'attend/normalise': {
    code: attendNormalise,
    params: [...u32('D', 'tokens', 'workgroups', 'qkStart'), { name: 'epsilon', type: 'f32' }],
    buffers: { qk: 'read', inverseNorms: 'write' },
  },
  'attend/forward': { code: attendForward, ...FORWARD },
  'attend/forward_subgroup': { code: attendForwardSubgroup, ...FORWARD },
  'attend/delta': {
    code: attendDelta,
    params: u32('E', 'tokens', 'workgroups', 'outStart', 'gradStart', 'lseStart', 'lseGradStart'),
    buffers: {
      inverseNorms: 'read',
      out: 'read',
      grad: 'read',
      lse: 'read',
      lseGrad: 'read',
      facts: 'write',
    },
  },
  'attend/backward_query': { code: attendBackwardQuery, ...BACKWARD_QUERY },
  'attend/backward_query_subgroup': { code: attendBackwardQuerySubgroup, ...BACKWARD_QUERY },
  'attend/backward_key': { code: attendBackwardKey, ...BACKWARD_KEY },
  'attend/backward_key_subgroup': { code: attendBackwardKeySubgroup, ...BACKWARD_KEY },
  'dense/forward': { code: denseForward, ...DENSE_FORWARD },
  'dense/forward_subgroup': { code: denseForwardSubgroup, ...DENSE_FORWARD },
  'dense/delta': {
    code: denseDelta,
    params: u32('E', 'tokens', 'workgroups', 'outStart', 'gradStart', 'lseStart', 'lseGradStart'),
    buffers: { out: 'read', grad: 'read', lse: 'read', lseGrad: 'read', facts: 'write' },
  },
  'dense/backward_query': { code: denseBackwardQuery, ...DENSE_BACKWARD_QUERY },
  'dense/backward_query_subgroup': { code: denseBackwardQuerySubgroup, ...DENSE_BACKWARD_QUERY },
  'dense/backward_key': { code: denseBackwardKey, ...DENSE_BACKWARD_KEY },
  'dense/backward_key_subgroup': { code: denseBackwardKeySubgroup, ...DENSE_BACKWARD_KEY },
  'decode/copy': {
    code: decodeCopy,
    params: [
      ...u32('lines', 'count', 'sourceStride', 'targetStride', 'targetOffset', 'sourceStart', 'targetStart'),
      ...u32('firstSource', 'sourceLines', 'firstTarget', 'entries', 'linesPerEntry', 'workgroups'),
    ],
    buffers: { source: 'read', indices: 'read', copied: 'write' },
  },
  'decode/link': {
    code: decodeLink,
    params: [
      ...u32('T', 'N', 'length', 'capacity', 'workgroups'),
      ...u32('newBucketsStart', 'bucketsStart', 'linksStart', 'headsStart'),
    ],
    buffers: { newBuckets: 'read', buckets: 'write', links: 'write', heads: 'write' },
  },
  'decode/attend': {
    code: decodeAttend,
    params: [
      ...u32('T', 'D', 'E', 'R', 'length', 'capacity', 'workgroups'),
      ...u32('qkStart', 'vStart', 'bucketsStart', 'linksStart', 'outStart', 'lseStart'),
      { name: 'scale', type: 'f32' },
    ],
    buffers: { qk: 'read', v: 'read', buckets: 'read', links: 'read', out: 'write', lse: 'write' },
  },
  'search/hamming': {
    code: searchHamming,
    params: u32('slots', 'firstSlot', 'partSlots', 'queries', 'vectors', 'lastKey', 'workgroups'),
    buffers: { codes: 'read', queryCodes: 'read', allowed: 'read', keys: 'write' },
  },
  'search/rerank': {
    code: searchRerank,
    params: u32('slots', 'firstSlot', 'partSlots', 'width', 'vectors', 'listed', 'tiles', 'workgroups'),
    buffers: { rows: 'read', queries: 'read', lists: 'read', allowed: 'read', values: 'write' },
  },
  'search/topk': {
    code: searchTopk,
    params: u32('width', 'pitch', 'listed', 'k', 'tiles', 'workgroups'),
    buffers: { values: 'read', lists: 'read', bestValues: 'write', bestSlots: 'write' },
  },
  'probe/multiply': {
    code: probeMultiply,
    params: u32('turns', 'workgroups'),
    buffers: { sums: 'write' },
  },
  'probe/copy': {
    code: probeCopy,
    params: u32('vectors', 'workgroups'),
    buffers: { source: 'read', copied: 'write' },
  },
} satisfies Record<string, Kernel>;

export type KernelName = keyof typeof kernels;

/** One dispatch of one kernel. */
export interface Pass {
  readonly kernel: KernelName;
  /** Values of the kernel's `override` constants. */
  readonly constants: Readonly<Record<string, number>>;
  /** Values of the `const` sizes that are set in the kernel's text. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Whether rows are bound as 16-bit floats: `alias Stored` is another then. */
  readonly half?: boolean;
  /** Values of the fields of `Params`, but for `workgroups`. */
  readonly params: Readonly<Record<string, number | readonly number[]>>;
  /** The plan's buffer behind a binding, where it has another name. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly workgroups: number;
  /** Useful floating-point operations, where they are counted. */
  readonly operations?: number;
  /** Bytes that it must read and write at least, where they are counted. */
  readonly bytes?: number;
}
