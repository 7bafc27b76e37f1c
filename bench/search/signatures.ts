/** How fast signatures are made: hashes a second, of every word under every function. */
import { MinHash, minHashSignatures } from 'tfjs-lsh-attention/search';
import { say } from '../../examples/output/terminal.js';
import { loadPeer } from '../peers.js';
import { spread } from '../statistics.js';
import { uniform } from './planted.js';

const SETS = 64;
const WORDS = 4096;
const HASHES = 128;

export interface SignatureRow {
  readonly name: string;
  /** 10⁶ hashes a second. */
  readonly rate: number;
}

/** A way to make signatures; returns how many sets it took. */
interface Maker {
  readonly name: string;
  run(): Promise<number>;
}

/** Measured in turns, the median of so many runs. */
export async function benchSignatures(runs: number): Promise<SignatureRow[]> {
  const next = uniform(7);
  const sets = Array.from({ length: SETS }, () =>
    Uint32Array.from({ length: WORDS }, () => next() * 2 ** 32),
  );
  const makers = [...ours(sets), ...theirs(sets)];
  const times = makers.map((): number[] => []);
  for (let run = -1; run < runs; run++) {
    for (const [i, maker] of makers.entries()) {
      const start = performance.now();
      const taken = await maker.run();
      if (run >= 0) {
        times[i]?.push((performance.now() - start) / taken);
      }
    }
  }
  return makers.map(({ name }, i) => ({
    name,
    rate: (WORDS * HASHES) / spread(times[i] as number[]).median / 1000,
  }));
}

function ours(sets: readonly Uint32Array[]): Maker[] {
  const signatures = (scheme: 'fmix32' | 'datasketch') => async () => {
    await minHashSignatures(sets, { numHashes: HASHES, scheme });
    return sets.length;
  };
  const tokens = stringsOf(sets);
  const ofStrings = async () => {
    new MinHash({ numHashes: HASHES }).addAll(tokens).signature();
    return 1;
  };
  return [
    { name: 'minHashSignatures', run: signatures('fmix32') },
    { name: "minHashSignatures, scheme 'datasketch'", run: signatures('datasketch') },
    { name: 'MinHash, strings', run: ofStrings },
  ];
}

/** The words of the first set as strings. */
function stringsOf(sets: readonly Uint32Array[]): string[] {
  return Array.from(sets[0] as Uint32Array, String);
}

/** What is used of minhash. */
interface Minhash {
  readonly Minhash: new (options: { readonly numPerm: number }) => { update(token: string): void };
}

/** npm's minhash, which takes strings. */
function theirs(sets: readonly Uint32Array[]): Maker[] {
  try {
    const { Minhash } = loadPeer('minhash') as Minhash;
    const tokens = stringsOf(sets);
    const run = async () => {
      const signature = new Minhash({ numPerm: HASHES });
      for (const token of tokens) {
        signature.update(token);
      }
      return 1;
    };
    return [{ name: 'npm minhash, strings', run }];
  } catch {
    say('minhash is not installed. Try: npm run bench -- --suite search --install');
    return [];
  }
}
