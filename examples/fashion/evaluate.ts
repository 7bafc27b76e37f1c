/** How well codes find pictures of the same kind. */
import type { VectorFamily } from 'tfjs-lsh-attention/search';
import { DOTS, type Labelled, type Split } from './images.js';

/** What is found within a Hamming radius. */
export interface AtRadius {
  readonly radius: number;
  /** Of the ten candidates nearest by cosine the part of the query's kind, over all queries; missing ones count as wrong. */
  readonly precision: number;
  /** The same over the queries that have candidates, as the tutorial reports it. */
  readonly precisionOfAnswered: number;
  /** Candidates of a query, on average. */
  readonly candidates: number;
}

export interface Quality {
  readonly radii: readonly AtRadius[];
  /** Mean average precision of the whole database in order of Hamming distance. */
  readonly meanAveragePrecision: number;
}

const WANTED = 10;

/** Codes of one table against the labels, within each radius and over all distances. */
export function evaluate(
  family: VectorFamily,
  { queries, database }: Split,
  radii: readonly number[],
): Quality {
  const codes = family.hash(database.rows);
  const queryCodes = family.hash(queries.rows);
  const lengths = lengthsOf(database.centred);
  const found = Array.from(queryCodes, (code, query) => {
    const byDistance = rowsByDistance(codes, code, family.bits);
    const label = queries.labels[query] as number;
    const row = queries.centred.subarray(query * DOTS, (query + 1) * DOTS);
    return {
      averagePrecision: averagePrecision(byDistance.flat(), database.labels, label),
      within: radii.map((radius) => {
        const candidates = byDistance.slice(0, radius + 1).flat();
        const right = nearest(row, candidates, database, lengths).filter(
          (i) => database.labels[i] === label,
        ).length;
        return { candidates: candidates.length, precision: right / WANTED };
      }),
    };
  });
  return {
    meanAveragePrecision: mean(found.map(({ averagePrecision }) => averagePrecision)),
    radii: radii.map((radius, i) => {
      const here = found.map(({ within }) => within[i] as { candidates: number; precision: number });
      return {
        radius,
        precision: mean(here.map(({ precision }) => precision)),
        precisionOfAnswered: mean(
          here.filter(({ candidates }) => candidates > 0).map(({ precision }) => precision),
        ),
        candidates: mean(here.map(({ candidates }) => candidates)),
      };
    }),
  };
}

/** The rows at each Hamming distance from a code, 0 … bits, in order. */
function rowsByDistance(codes: Int32Array, code: number, bits: number): number[][] {
  const lists: number[][] = Array.from({ length: bits + 1 }, () => []);
  for (const [i, other] of codes.entries()) {
    let distance = 0;
    for (let rest = other ^ code; rest !== 0; rest &= rest - 1) {
      distance++;
    }
    lists[distance]?.push(i);
  }
  return lists;
}

function averagePrecision(order: readonly number[], labels: Uint8Array, label: number): number {
  let [right, sum] = [0, 0];
  for (const [place, i] of order.entries()) {
    if (labels[i] === label) {
      right++;
      sum += right / (place + 1);
    }
  }
  return right === 0 ? 0 : sum / right;
}

/** The candidates with the largest cosine, most similar first. */
function nearest(
  row: Float32Array,
  candidates: readonly number[],
  { centred }: Labelled,
  lengths: Float64Array,
): number[] {
  const scored = candidates.map((i): [number, number] => {
    let sum = 0;
    for (let d = 0; d < DOTS; d++) {
      sum += (row[d] as number) * (centred[i * DOTS + d] as number);
    }
    return [sum / (lengths[i] as number), i];
  });
  return scored
    .sort(([a], [b]) => b - a)
    .slice(0, WANTED)
    .map(([, i]) => i);
}

function lengthsOf(rows: Float32Array): Float64Array {
  return Float64Array.from({ length: rows.length / DOTS }, (_, i) =>
    Math.sqrt(rows.subarray(i * DOTS, (i + 1) * DOTS).reduce((sum, x) => sum + x * x, 0)),
  );
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
