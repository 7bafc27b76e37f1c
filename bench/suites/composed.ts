/** The suite `composed`: LSH attention as tf ops against dense attention as tf ops, on the backends without kernels. */
import { contest } from '../contest.js';
import type { Context } from '../context.js';
import type { Case, Entrant } from '../entrant.js';
import { startPeers, tfOps } from '../peers.js';

const LENGTHS = [1024, 2048, 4096];

/** Heads that a backend does in seconds. */
const BACKENDS = [
  { name: 'tfjs-cpu', backend: 'cpu', heads: 1 },
  { name: 'tfjs-wasm', backend: 'wasm', heads: 2 },
  { name: 'tfjs-node', backend: 'tensorflow', heads: 8 },
] as const;

export async function benchComposed(context: Context): Promise<void> {
  const { options, stopped } = context;
  const { depth: D, hashes: R, chunk: C, causal = false } = options;
  // Those of as many heads have the same cases.
  const headsOf = ({ heads }: (typeof BACKENDS)[number]) => options.heads ?? heads;
  for (const H of new Set(BACKENDS.map(headsOf))) {
    const cases = (options.lengths ?? LENGTHS).map(
      (L): Case => ({ suite: 'composed', params: { B: 1, H, L, D, R, C, causal } }),
    );
    const entrants: Entrant[] = [];
    try {
      const backends = BACKENDS.filter((one) => headsOf(one) === H);
      const peers = backends.flatMap(({ name, backend }) => tfOps(name, backend));
      for await (const entrant of startPeers(stopped() ? [] : peers, context)) {
        entrants.push(entrant);
      }
      await contest(context, entrants, cases);
    } finally {
      for (const entrant of entrants) {
        entrant.end?.();
      }
    }
  }
}
