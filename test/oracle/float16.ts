/** The nearest 16-bit float, ties to even; what is beyond their range becomes the largest of them. */
export function toFloat16(value: number): number {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 1)));
  const quantum = 2 ** (exponent - 10);
  const steps = value / quantum;
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 !== 0);
  return Math.min(65504, Math.max(-65504, (up ? below + 1 : below) * quantum));
}
