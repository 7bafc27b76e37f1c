/** HNSW, where it is installed in the peers' folder: `npm run bench -- --suite search --install`. */
import { say } from '../../examples/output/terminal.js';
import { loadPeer } from '../peers.js';
import type { Contender, Data } from './contender.js';

const M = 16;

/** The contenders that can be had. */
export function hnsw(): Contender[] {
  return Object.entries({ 'hnswlib-node': hnswlib, usearch }).flatMap(([name, make]) => {
    try {
      return make(loadPeer(name) as never);
    } catch {
      say(`${name} is not installed. Try: npm run bench -- --suite search --install`);
      return [];
    }
  });
}

/** What is used of hnswlib-node. */
interface Hnswlib {
  readonly HierarchicalNSW: new (
    space: string,
    D: number,
  ) => {
    initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
    addPoint(point: number[], label: number): void;
    setEf(ef: number): void;
    searchKnn(point: number[], k: number): { readonly neighbors: number[] };
  };
}

/** Two contenders that share an index. */
function hnswlib({ HierarchicalNSW }: Hnswlib): Contender[] {
  let index: InstanceType<Hnswlib['HierarchicalNSW']>;
  const build = async ({ D, rows }: Data) => {
    index = new HierarchicalNSW('l2', D);
    index.initIndex({ maxElements: rows.length / D, m: M, efConstruction: 200, randomSeed: 1 });
    for (let row = 0; row < rows.length / D; row++) {
      index.addPoint(Array.from(rows.subarray(row * D, (row + 1) * D)), row);
    }
    return {};
  };
  const asked = (ef: number): Contender => ({
    name: `hnswlib-node, M ${M}, ef ${ef}`,
    async query({ queries, D }, k) {
      index.setEf(ef);
      const ids = new Int32Array((queries.length / D) * k).fill(-1);
      for (let q = 0; q < queries.length / D; q++) {
        ids.set(index.searchKnn(Array.from(queries.subarray(q * D, (q + 1) * D)), k).neighbors, q * k);
      }
      return { ids };
    },
  });
  return [{ ...asked(10), build }, asked(50)];
}

/** What is used of usearch. */
interface Usearch {
  readonly Index: new (options: {
    metric: string;
    dimensions: number;
    connectivity: number;
  }) => {
    add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
    search(vectors: Float32Array, k: number, threads: number): { readonly keys: BigUint64Array };
  };
}

function usearch({ Index }: Usearch): Contender[] {
  let index: InstanceType<Usearch['Index']>;
  return [
    {
      name: `usearch, M ${M}, one thread`,
      async build({ D, rows }) {
        index = new Index({ metric: 'l2sq', dimensions: D, connectivity: M });
        const keys = BigUint64Array.from({ length: rows.length / D }, (_, i) => BigInt(i));
        index.add(keys, rows, 1);
        return {};
      },
      query: async ({ queries }, k) => ({ ids: Int32Array.from(index.search(queries, k, 1).keys, Number) }),
    },
  ];
}
