/** Vectors whose nearest neighbours are known: the data on which hash functions for angles differ. */

/** Uniform numbers in (0, 1) from a seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

/** What is planted. */
export interface Planting {
  /** Vectors, of which at most half are neighbours of a query. */
  readonly n: number;
  readonly D: number;
  readonly queries: number;
  /** Neighbours of each query. @default 10 */
  readonly near?: number;
  /** How far they are from it; all others are about 1.4 away. @default 0.7 */
  readonly distance?: number;
  /** @default 1 */
  readonly seed?: number;
}

/**
 * Points spread evenly over the unit sphere, and among them neighbours of each query at one middling distance: by theory
 * (Andoni et al. 2015) what cross-polytopes find best. The neighbours of the first query come first.
 */
export function planted({ n, D, queries, near = 10, distance = 0.7, seed = 1 }: Planting) {
  const next = uniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
  const point = () => unit(Float64Array.from({ length: D }, normal));
  const asked = new Float32Array(queries * D);
  for (let i = 0; i < queries; i++) {
    asked.set(point(), i * D);
  }
  const cosine = 1 - distance ** 2 / 2;
  const beside = (query: Float32Array) => {
    const across = point();
    const along = across.reduce((sum, x, d) => sum + x * (query[d] as number), 0);
    const direction = unit(across.map((x, d) => x - along * (query[d] as number)));
    return direction.map((x, d) => Math.sqrt(1 - cosine ** 2) * x + cosine * (query[d] as number));
  };
  const rows = new Float32Array(n * D);
  for (let i = 0; i < n; i++) {
    const query = Math.floor(i / near);
    const isNear = query < queries && i < n / 2;
    rows.set(isNear ? beside(asked.subarray(query * D, (query + 1) * D)) : point(), i * D);
  }
  return { rows, queries: asked };
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}
