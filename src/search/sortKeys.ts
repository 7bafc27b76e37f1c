/** Indices sorted by an integer from 0 to `most`, equals as they came. */
export function sortedBy(indices: Int32Array, most: number, rankOf: (i: number) => number): Int32Array {
  const ranks = new Int32Array(indices.length);
  const ends = new Int32Array(most + 2);
  for (let i = 0; i < ranks.length; i++) {
    const rank = rankOf(indices[i] as number);
    ranks[i] = rank;
    ends[rank + 1] = (ends[rank + 1] as number) + 1;
  }
  for (let rank = 0; rank < most; rank++) {
    ends[rank + 1] = (ends[rank + 1] as number) + (ends[rank] as number);
  }
  const sorted = new Int32Array(ranks.length);
  for (let i = 0; i < ranks.length; i++) {
    const rank = ranks[i] as number;
    const place = ends[rank] as number;
    sorted[place] = indices[i] as number;
    ends[rank] = place + 1;
  }
  return sorted;
}
