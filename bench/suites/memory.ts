/** The suite `memory`: peak GPU bytes against those of inputs and outputs, by rounds, and of dense attention. */
import * as tf from '@tensorflow/tfjs-core';
import { currentDevice, measureBytes } from 'tfjs-lsh-attention/webgpu';
import { shareOf, workOf } from '../contest.js';
import type { Context } from '../context.js';
import { caseOf, type Params } from '../findings.js';
import { SETS } from '../inputs.js';
import type { Variant } from '../options.js';
import { spread } from '../statistics.js';
import { type Given, type Way, waysOf } from '../ways.js';

const LENGTHS = [2048, 8192];
const ROUNDS = [1, 2, 4, 8, 16];
/** Dense attention beyond takes long. */
const LONGEST_DENSE = 2048;

export async function benchMemory(context: Context): Promise<void> {
  const { options, devices, findings, stopped, save, progress } = context;
  const { heads: H = 8, depth: D, hashes, chunk: C, causal = true } = options;
  const { lsh, dense, tfjs } = waysOf(options);
  for (const L of options.lengths ?? LENGTHS) {
    for (const variant of options.variants) {
      devices.use(variant);
      const others = variant === 'plain' && options.against.includes('tfjs') ? [dense, tfjs] : [dense];
      const calls = [
        ...ROUNDS.map((R) => ({ way: lsh, R })),
        ...(L <= LONGEST_DENSE ? others.map((way) => ({ way, R: hashes })) : []),
      ];
      for (const { way, R } of calls) {
        const params: Params = { B: 1, H, L, D, R, C, causal };
        const known = findings.rows.some(
          (row) =>
            row.name === way.name &&
            row.variant === variant &&
            caseOf(row) === caseOf({ suite: 'memory', params }),
        );
        if (stopped() || known || tooLarge(way, params)) {
          continue;
        }
        progress(`${caseOf({ suite: 'memory', params })}: ${way.name} ${variant}`);
        await measure(context, way, variant, params);
        save();
      }
    }
  }
}

function tooLarge(way: Way, { B, H, L }: Params): boolean {
  return way.separate && 4 * B * H * L * L > currentDevice().limits.maxStorageBufferBindingSize;
}

async function measure({ inputs, findings, options }: Context, way: Way, variant: Variant, params: Params) {
  const { B, H, L, D } = params;
  const count = B * H * L * D;
  const [set] = SETS as [(typeof SETS)[0]];
  const part = (start: number) => tf.tensor(inputs.part(start, count), [B, H, L, D]);
  const given: Given = { q: part(set.q), v: part(set.v), k: way.separate ? part(set.k) : tf.scalar(0) };
  await tf.tidy(() => tf.slice(tf.add(given.q, given.v), [0, 0, 0, 0], [1, 1, 1, 1])).data();
  const start = performance.now();
  const { result, peakBytes } = measureBytes(() => tf.tidy(() => way.call(given, params)));
  await tf.tidy(() => tf.slice(result, [0, 0, 0, 0], [1, 1, 1, 1])).data();
  const ms = spread([performance.now() - start]);
  tf.dispose([result, given.q, given.k, given.v]);
  const inputTensors = way.separate ? 3 : 2;
  const sizes = {
    bytesPeak: peakBytes + 4 * count * inputTensors,
    bytesInOut: 4 * count * (inputTensors + 1),
  };
  const { name } = way;
  if (name !== 'lsh' && name !== 'dense') {
    findings.others.push({ suite: 'memory', name, params, ms, ...sizes });
    return;
  }
  const work = workOf('attention', name, params, options.rotation);
  findings.rows.push({
    ...{ suite: 'memory', name, variant, params, ms, ...sizes },
    gflops: work.operations / ms.median / 1e6,
    share: shareOf(work, ms.median, findings.ceilings),
    against: {},
    extrapolated: [],
  });
}
