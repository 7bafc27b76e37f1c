import type { Row, Spread } from './measure.js';

/** A row of the bench as text. */
export function table({ params, kernels, total, maxError }: Row): string {
  const { B, H, L, D, numHashes, chunkLength, causal } = params;
  const line = (name: string, ms: Spread, gflops?: number) =>
    [
      `  ${name.padEnd(18)}`,
      `${ms.median.toFixed(2).padStart(10)} ms`,
      `(${ms.min.toFixed(2)} … ${ms.max.toFixed(2)})`.padEnd(24),
      `${(100 * (ms.median / total.median)).toFixed(1).padStart(5)} %`,
      gflops === undefined ? '' : `${gflops.toFixed(2).padStart(8)} GFLOP/s`,
    ].join(' ');
  return [
    `B=${B} H=${H} L=${L} D=${D} R=${numHashes} C=${chunkLength}${causal ? ' causal' : ''}  (error against dense, one chunk: ${maxError.toExponential(1)})`,
    ...kernels.map(({ kernel, ms, gflops }) => line(kernel, ms, gflops)),
    line('total', total),
  ].join('\n');
}
