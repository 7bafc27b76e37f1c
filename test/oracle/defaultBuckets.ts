/**
 * The factors of N where none are given: p = floor(log2(2·floor(L/C))), N = 2^p; where N exceeds
 * 2·max(floor(sqrt(L/C)), C), [2^floor(p/2), 2^(p − floor(p/2))]. At least 2.
 */
export function defaultBuckets(L: number, C: number): number[] {
  let p = 0;
  while (2 ** (p + 1) <= 2 * Math.floor(L / C)) {
    p++;
  }
  if (p === 0) {
    return [2];
  }
  let root = 0;
  while ((root + 1) ** 2 <= L / C) {
    root++;
  }
  return 2 ** p > 2 * Math.max(root, C) ? [2 ** Math.floor(p / 2), 2 ** (p - Math.floor(p / 2))] : [2 ** p];
}
