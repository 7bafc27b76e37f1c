/** The suites `attention` (forward), `training` (forward and backward) and `peers` (the others alone). */

import { contest } from '../contest.js';
import type { Context } from '../context.js';
import type { Case, Entrant } from '../entrant.js';
import { ours } from '../ours.js';
import { PEERS, startPeers } from '../peers.js';
import { waysOf } from '../ways.js';

/** Lengths that a processor can do in minutes. */
const LENGTHS = {
  attention: [1024, 2048, 4096, 8192, 16384],
  training: [1024, 4096, 16384],
  peers: [1024, 4096],
} as const;

export async function benchAttention(context: Context, suite: keyof typeof LENGTHS): Promise<void> {
  const { options, devices } = context;
  const { heads: H = 8, depth: D, hashes: R, chunk: C, causal } = options;
  const lengths = options.lengths ?? LENGTHS[suite];
  const cases = (causal === undefined ? [false, true] : [causal]).flatMap((causal) =>
    lengths.map((L): Case => ({ suite, params: { B: 1, H, L, D, R, C, causal } })),
  );
  const ways = waysOf(options);
  const entrants: Entrant[] = [];
  if (suite !== 'peers') {
    for (const variant of options.variants) {
      entrants.push(ours(ways.lsh, variant, devices, options), ours(ways.dense, variant, devices, options));
    }
  }
  for (const name of ['tfjs', 'composed'] as const) {
    if (options.against.includes(name)) {
      entrants.push(ours(ways[name], 'plain', devices, options));
    }
  }
  try {
    const wanted = PEERS.filter(
      ({ name, trains }) =>
        options.against.some((rival) => rival === name) && (suite !== 'training' || trains),
    );
    for await (const entrant of startPeers(wanted, context)) {
      entrants.push(entrant);
    }
    await contest(context, entrants, cases);
  } finally {
    for (const entrant of entrants) {
      entrant.end?.();
    }
  }
}
