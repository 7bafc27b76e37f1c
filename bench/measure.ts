import * as tf from '@tensorflow/tfjs-core';
import {
  type AttentionPlan,
  denseAttention,
  type LshAttentionOptions,
  lshAttention,
  plan,
} from 'tfjs-lsh-attention';
import { profile } from 'tfjs-lsh-attention/webgpu';

/** The spread of repeated measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

/** One kernel of a call; a kernel that runs once a round is summed over the rounds. */
export interface KernelRow {
  readonly kernel: string;
  readonly ms: Spread;
  /** Useful operations by the second, where the kernel does floating-point work that is counted. */
  readonly gflops: number | undefined;
}

export interface Row {
  readonly params: AttentionPlan['shape'] & LshAttentionOptions;
  readonly kernels: readonly KernelRow[];
  readonly total: Spread;
  /** Largest difference from dense attention where one chunk holds all: shows that the kernels are right. */
  readonly maxError: number;
}

/** Times every kernel of a forward call on inputs that change from run to run. */
export async function measure(
  shape: AttentionPlan['shape'],
  options: LshAttentionOptions,
  runs: number,
): Promise<Row> {
  const maxError = await checkAgainstDense(shape, options);
  const { operations } = plan(shape, options);
  const inputs = [1, 2, 3].map((seed) => randomInputs(shape, seed));
  const times = new Map<string, number[]>();
  const totals: number[] = [];
  for (let run = -1; run < runs; run++) {
    const { qk, v } = inputs[(run + 1) % inputs.length] as (typeof inputs)[number];
    const { result, passes } = await profile(() => lshAttention(qk, v, options));
    result.dispose();
    if (run < 0) {
      continue; // compilation and first touch
    }
    const sums = new Map<string, number>();
    for (const { kernel, milliseconds } of passes) {
      sums.set(kernel, (sums.get(kernel) ?? 0) + milliseconds);
    }
    for (const [kernel, sum] of sums) {
      times.set(kernel, [...(times.get(kernel) ?? []), sum]);
    }
    totals.push([...sums.values()].reduce((a, b) => a + b, 0));
  }
  tf.dispose(inputs);
  const useful: Record<string, number> = {
    'hash/rotate': operations.hash,
    'hash/hadamard': operations.hash,
    'attend/forward': operations.attend,
  };
  const kernels = [...times].map(([kernel, samples]): KernelRow => {
    const ms = spread(samples);
    const work = useful[kernel];
    return { kernel, ms, gflops: work === undefined ? undefined : work / ms.median / 1e6 };
  });
  return { params: { ...shape, ...options }, kernels, total: spread(totals), maxError };
}

/** The same depth and heads at a length that one chunk holds: LSH attention must be dense attention. */
async function checkAgainstDense(
  shape: AttentionPlan['shape'],
  options: LshAttentionOptions,
): Promise<number> {
  const small = { ...shape, L: 200 };
  const { qk, v } = randomInputs(small, 4);
  const difference = tf.tidy(() => {
    const lsh = lshAttention(qk, v, { ...options, chunkLength: small.L });
    const dense = denseAttention(qk, v, { causal: options.causal ?? false });
    return tf.max(tf.abs(tf.sub(lsh, dense)));
  });
  const [error] = await difference.data();
  tf.dispose([qk, v, difference]);
  if (!((error as number) < 1e-4)) {
    throw new Error(`bench: LSH attention is off dense attention by ${error}: no time is worth printing.`);
  }
  return error as number;
}

/** Normal queries, every hundredth token ten times as large, and normal values. */
function randomInputs({ B, H, L, D, E }: AttentionPlan['shape'], seed: number) {
  return tf.tidy(() => {
    const outliers = tf.reshape(
      tf.tensor1d(Float32Array.from({ length: L }, (_, i) => (i % 100 === 7 ? 10 : 1))),
      [1, 1, L, 1],
    );
    return {
      qk: tf.mul(tf.randomNormal([B, H, L, D], 0, 1, 'float32', seed), outliers),
      v: tf.randomNormal([B, H, L, E], 0, 1, 'float32', seed + 100) as tf.Tensor,
    };
  });
}

function spread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] as number;
  return { median: at(0.5), min: at(0), max: at(1), n: sorted.length };
}
