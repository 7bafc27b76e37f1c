/** Numbers for people. */

export function seconds(value: number): string {
  return value < 1 ? `${significant(value * 1000)} ms` : `${significant(value)} s`;
}

export function bytes(value: number): string {
  const power = Math.min(3, Math.max(1, Math.floor(Math.log2(value) / 10)));
  return `${significant(value / 2 ** (10 * power))} ${['KiB', 'MiB', 'GiB'][power - 1]}`;
}

export function count(value: number): string {
  return value.toLocaleString('en');
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/** How long a run goes on, for people. */
export function timeLeft(seconds: number): string {
  return seconds >= 90 ? `${Math.round(seconds / 60)} min left` : `${Math.round(seconds)} s left`;
}
