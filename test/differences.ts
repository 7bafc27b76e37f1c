import type { Numbers } from './oracle/shape.js';

/** d/dx of f(x)·direction, by central differences. */
export function finiteDifferences(
  f: (x: Float64Array) => Float64Array,
  x: Numbers,
  direction: Float32Array,
): Float64Array {
  const step = 1e-5;
  const point = Float64Array.from(x);
  const along = (values: Float64Array) =>
    values.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
  return point.map((value, i) => {
    const moved = (by: number) => along(f(point.map((other, m) => (m === i ? value + by : other))));
    return (moved(step) - moved(-step)) / (2 * step);
  });
}
