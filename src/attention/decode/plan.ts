import { type Pass, PLAIN } from '../../webgpu/kernels.js';
import type { Program } from '../../webgpu/program.js';
import type { DeviceTraits } from '../../webgpu/traits.js';
import { ALIGNMENT, bindingLimit, cut } from '../batches.js';
import { decodeKernels } from '../kernels.js';
import type { Settings, Shape } from '../settings.js';
import type { CacheDoor } from './door.js';

/** The cache's tensors on the GPU, all of them `[B, H, …]`. */
export const TENSORS = ['qk', 'v', 'buckets', 'links', 'heads'] as const;
export type TensorName = (typeof TENSORS)[number];

/** How many tokens the cache holds, and for how many it has room. */
export interface Extent {
  readonly B: number;
  readonly length: number;
  readonly capacity: number;
}

type Letters = Omit<Shape, 'B' | 'L'>;

/** What a tensor is made of: `[B, H, ...axes]`, of which every `line` words are consecutive. */
interface Layout {
  readonly dtype: 'float32' | 'int32';
  readonly axes: readonly number[];
  /** Lines of a row b·h, words of a line, and how many of those are in use. */
  readonly lines: number;
  readonly stride: number;
  readonly used: number;
}

const WORD = 4;
const COPY_LANES = 256;
const LEAST_CAPACITY = 64;

function layoutOf(
  name: TensorName,
  { D, E }: Letters,
  { R, N }: Settings,
  { length, capacity }: Extent,
): Layout {
  switch (name) {
    case 'qk':
      return { dtype: 'float32', axes: [capacity, D], lines: 1, stride: capacity * D, used: length * D };
    case 'v':
      return { dtype: 'float32', axes: [capacity, E], lines: 1, stride: capacity * E, used: length * E };
    case 'heads':
      return { dtype: 'int32', axes: [R, N], lines: 1, stride: R * N, used: R * N };
    default:
      return { dtype: 'int32', axes: [R, capacity], lines: R, stride: capacity, used: length };
  }
}

/**
 * The most tokens that a cache of this batch holds on the device.
 *
 * @throws Error when these are fewer than `length`.
 */
export function mostTokens(
  length: number,
  { B, H, D, E }: Letters & { readonly B: number },
  { R, N }: Settings,
  limits: DeviceTraits,
  door: CacheDoor,
): number {
  const row = bindingLimit(limits) - (B * H > 1 ? ALIGNMENT : 0);
  const widest = Math.max(D, E, R) * WORD;
  const most = Math.floor(Math.min(limits.maxBufferSize / (B * H * widest), row / widest));
  if (R * N * WORD > row || B * H * R * N * WORD > limits.maxBufferSize || length > most) {
    throw door.failure(
      `the buffers of this device do not hold a cache of ${length} tokens with B·H=${B * H}, D=${D}, E=${E}, R=${R} and N=${N}. Use a smaller batch, fewer rounds or fewer buckets.`,
    );
  }
  return most;
}

/** Room for `length` tokens and a few more: a power of two, so that growth copies each token once on average. */
export function roomFor(length: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(LEAST_CAPACITY, length + 1)));
}

/**
 * New tokens go into the cache, and, where `attends`, to the earlier tokens of their buckets.
 * `shape.L` is the number of new tokens, `extent` the cache's before them.
 */
export function appendPlan(
  shape: Shape,
  settings: Settings,
  extent: Extent,
  attends: boolean,
  limits: DeviceTraits,
): Program {
  const { B, H, L: T, D, E } = shape;
  const { R, N } = settings;
  const { length, capacity } = extent;
  const rowWords: Record<string, number> = { newQk: T * D, newV: T * E, newBuckets: R * T };
  for (const name of TENSORS) {
    const { lines, stride } = layoutOf(name, shape, settings, extent);
    rowWords[name] = lines * stride;
  }
  if (attends) {
    Object.assign(rowWords, { out: T * E, lse: T });
  }
  const perBatch = Math.min(...Object.values(rowWords).map((words) => linesThatFit(words, B * H, limits)));
  const batches = ranges(B * H, perBatch).map(({ first, count }) => {
    const cuts = Object.fromEntries(
      Object.entries(rowWords).map(([name, words]) => [name, cut(words * WORD, first, count)]),
    );
    const start = (name: string) => cuts[name]?.start as number;
    const starts = (...names: string[]) =>
      Object.fromEntries(names.map((name) => [`${name}Start`, start(name)]));
    const takeIn = (source: string, target: 'qk' | 'v', width: number) =>
      copyPass(source, target, {
        ...{ lines: count, count: T * width, sourceStride: T * width, targetStride: capacity * width },
        ...{ targetOffset: length * width, sourceStart: start(source), targetStart: start(target) },
      });
    const link: Pass = {
      ...PLAIN,
      kernel: 'decode/link',
      params: { T, N, length, capacity, ...starts('newBuckets', 'buckets', 'links', 'heads') },
      workgroups: count * R,
    };
    const attend: Pass = {
      ...PLAIN,
      kernel: 'decode/attend',
      constants: { CORRECT: Number(settings.correct) },
      params: {
        ...{ T, D, E, R, length, capacity, scale: settings.scale * Math.LOG2E },
        ...starts('qk', 'v', 'buckets', 'links', 'out', 'lse'),
      },
      workgroups: count * T,
    };
    return {
      parts: Object.fromEntries(Object.entries(cuts).map(([name, { part }]) => [name, part])),
      passes: [takeIn('newQk', 'qk', D), takeIn('newV', 'v', E), link, ...(attends ? [attend] : [])],
    };
  });
  return {
    outputs: attends
      ? { out: { shape: [B, H, T, E], dtype: 'float32' }, lse: { shape: [B, H, T], dtype: 'float32' } }
      : {},
    scratch: { unused: 16 },
    batches,
    kernels: decodeKernels,
  };
}

/**
 * The cache moves into new tensors: of another capacity, and, where `reorders`, of the batch entries
 * that a buffer `indices [to.B]` names. Without `from` they are an empty cache's.
 */
export function movePlan(
  letters: Letters,
  settings: Settings,
  from: Extent | undefined,
  to: Extent,
  reorders: boolean,
  limits: DeviceTraits,
): Program {
  const { H } = letters;
  const layouts = TENSORS.map((name) => ({ name, layout: layoutOf(name, letters, settings, to) }));
  return {
    outputs: Object.fromEntries(
      layouts.map(({ name, layout: { dtype, axes } }) => [name, { shape: [to.B, H, ...axes], dtype }]),
    ),
    scratch: { unused: 16 },
    cleared: from === undefined ? ['heads'] : [],
    kernels: decodeKernels,
    batches:
      from === undefined
        ? []
        : layouts.flatMap(({ name, layout }) => {
            const old = layoutOf(name, letters, settings, from);
            const linesPerEntry = H * layout.lines;
            const moved = { name, used: Math.min(old.used, layout.used), linesPerEntry };
            return moveLines(
              moved,
              { stride: old.stride, lines: from.B * linesPerEntry },
              { stride: layout.stride, lines: to.B * linesPerEntry },
              reorders ? from.B : 0,
              limits,
            );
          }),
  };
}

interface Lines {
  readonly stride: number;
  readonly lines: number;
}

/** One tensor's move: a batch for each pair of parts of the source and the target that bindings hold. */
function moveLines(
  { name, used, linesPerEntry }: { name: string; used: number; linesPerEntry: number },
  source: Lines,
  target: Lines,
  entries: number,
  limits: DeviceTraits,
): Program['batches'] {
  const perTarget = linesThatFit(target.stride, target.lines, limits);
  const perSource = linesThatFit(source.stride, source.lines, limits);
  return ranges(target.lines, perTarget).flatMap((to) =>
    // Lines that keep their order come from their like alone.
    (entries > 0
      ? ranges(source.lines, perSource)
      : ranges(to.count, perSource).map(({ first, count }) => ({ first: to.first + first, count }))
    ).map((from) => {
      const within = entries > 0 ? to : from;
      const old = cut(source.stride * WORD, from.first, from.count);
      const fresh = cut(target.stride * WORD, within.first, within.count);
      const pass = copyPass(`old.${name}`, name, {
        ...{ lines: within.count, count: used, sourceStride: source.stride, targetStride: target.stride },
        ...{ sourceStart: old.start, targetStart: fresh.start, firstSource: from.first },
        ...{ sourceLines: from.count, firstTarget: within.first, entries, linesPerEntry },
      });
      return { parts: { [`old.${name}`]: old.part, [name]: fresh.part }, passes: [pass] };
    }),
  );
}

function copyPass(
  source: string,
  copied: string,
  params: Readonly<Record<string, number>> & { readonly lines: number; readonly count: number },
): Pass {
  const { lines, count, entries = 0 } = params;
  return {
    ...PLAIN,
    kernel: 'decode/copy',
    params: {
      ...{ targetOffset: 0, firstSource: 0, sourceLines: lines, firstTarget: 0, linesPerEntry: 1 },
      ...params,
      entries,
    },
    aliases: { source, copied, ...(entries > 0 ? {} : { indices: 'unused' }) },
    workgroups: Math.ceil((lines * count) / COPY_LANES),
  };
}

/** How many of `lines` lines of that many words one binding holds. */
function linesThatFit(words: number, lines: number, limits: DeviceTraits): number {
  const limit = bindingLimit(limits);
  // A part may begin up to one alignment before its first line.
  return words * lines * WORD <= limit
    ? lines
    : Math.max(1, Math.floor((limit - ALIGNMENT) / (words * WORD)));
}

function ranges(all: number, most: number): { readonly first: number; readonly count: number }[] {
  return Array.from({ length: Math.ceil(all / most) }, (_, i) => ({
    first: i * most,
    count: Math.min(most, all - i * most),
  }));
}
