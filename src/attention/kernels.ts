// Likes lie together, so that the package is small: gzip looks back no further than 32 KiB.

// The gradients of exact attention.

import denseBackwardKey from '../../kernels/dense/backward_key.wgsl?raw';
import denseBackwardQuery from '../../kernels/dense/backward_query.wgsl?raw';

// The gradients of LSH attention.

import attendBackwardKey from '../../kernels/attend/backward_key.wgsl?raw';
import attendBackwardQuery from '../../kernels/attend/backward_query.wgsl?raw';

// Attention.

import attendForward from '../../kernels/attend/forward.wgsl?raw';
import denseForward from '../../kernels/dense/forward.wgsl?raw';

// What goes through tokens or keys one by one.

import attendDelta from '../../kernels/attend/delta.wgsl?raw';
import attendHalve from '../../kernels/attend/halve.wgsl?raw';
import attendNormalise from '../../kernels/attend/normalise.wgsl?raw';
import decodeAttend from '../../kernels/decode/attend.wgsl?raw';
import decodeCopy from '../../kernels/decode/copy.wgsl?raw';
import decodeLink from '../../kernels/decode/link.wgsl?raw';
import denseDelta from '../../kernels/dense/delta.wgsl?raw';
import hashHadamard from '../../kernels/hash/hadamard.wgsl?raw';
import hashRotate from '../../kernels/hash/rotate.wgsl?raw';
import sortArrange from '../../kernels/sort/arrange.wgsl?raw';
import sortCount from '../../kernels/sort/count.wgsl?raw';
import sortPlace from '../../kernels/sort/place.wgsl?raw';
import sortScan from '../../kernels/sort/scan.wgsl?raw';

/** From tokens to buckets. */
export const hashKernels = {
  'hash/rotate': hashRotate,
  'hash/hadamard': hashHadamard,
};

/** A stable counting sort of rows by key. */
export const sortKernels = {
  'sort/count': sortCount,
  'sort/scan': sortScan,
  'sort/place': sortPlace,
};

/** LSH attention on sorted rows, which puts chunks in order first, and its gradient. */
export const attendKernels = {
  'attend/halve': attendHalve,
  'attend/normalise': attendNormalise,
  'attend/forward': attendForward,
  'attend/delta': attendDelta,
  'attend/backward_query': attendBackwardQuery,
  'attend/backward_key': attendBackwardKey,
  'sort/arrange': sortArrange,
};

/** Attention token by token, on buffers with room to spare. */
export const decodeKernels = {
  'decode/copy': decodeCopy,
  'decode/link': decodeLink,
  'decode/attend': decodeAttend,
};

/** Exact attention and its gradient. */
export const denseKernels = {
  'dense/forward': denseForward,
  'dense/delta': denseDelta,
  'dense/backward_query': denseBackwardQuery,
  'dense/backward_key': denseBackwardKey,
};
