/** Other libraries as entrants, each in a process of its own: two WebGPUs in one would meet. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from './context.js';
import type { Case, Entrant, Entry } from './entrant.js';
import { denseRow, errorOf, type Tensors } from './exact.js';
import type { Params, PeerNote } from './findings.js';
import { type Inputs, SETS } from './inputs.js';
import type { BenchOptions } from './options.js';
import { PeerProcess } from './peerProcess.js';

export const PEERS_FOLDER = fileURLToPath(new URL('peers/', import.meta.url));
const PROCESSES = fileURLToPath(new URL('processes/', import.meta.url));
const INSTALL = 'Try: npm run bench -- --suite peers --install';

/** A module of the peers' folder. @throws Error where it is not installed. */
export function loadPeer(name: string): unknown {
  return createRequire(join(PEERS_FOLDER, 'package.json'))(name);
}

/** The Python that has torch: the folder's own, or one that LSH_PYTHON names. */
export function python(): string {
  const own = join(PEERS_FOLDER, 'venv', 'bin', 'python');
  return process.env.LSH_PYTHON ?? (existsSync(own) ? own : 'python3');
}

/** How a peer is started, and what it can do. */
export interface Peer {
  readonly name: string;
  readonly command: () => readonly [file: string, ...args: string[]];
  readonly trains: boolean;
  /** `lsh` has shared queries and keys; the others have three tensors and scale by 1/√D. */
  readonly computes: 'lsh' | 'dense';
  /** Where heads are: before tokens, or after. */
  readonly headsFirst: boolean;
  /** Of LSH attention: how many chunks may hold a sequence so that every token sees all of it. */
  readonly chunks?: 1 | 2;
}

const node = (...args: string[]) => [process.execPath, ...args] as [string, ...string[]];

/** Dense attention, and LSH attention of this package, as tf ops on a backend of tfjs. */
export function tfOps(name: string, backend: 'cpu' | 'wasm' | 'tensorflow'): Peer[] {
  const command = (computes: string) =>
    node('--import', import.meta.resolve('tsx'), join(PROCESSES, 'tfOps.mjs'), backend, computes);
  const common = { trains: true, headsFirst: true };
  return [
    { ...common, name, computes: 'dense', command: () => command('dense') },
    {
      ...{ ...common, name: `${name}-composed`, computes: 'lsh', chunks: 1 },
      command: () => command('composed'),
    },
  ];
}

export const PEERS: readonly Peer[] = [
  ...(['webgpu', 'cpu'] as const).map(
    (provider): Peer => ({
      ...{ name: `onnxruntime-${provider}`, trains: false, computes: 'dense', headsFirst: false },
      command: () => node(join(PROCESSES, 'onnxruntime.mjs'), provider),
    }),
  ),
  {
    ...{ name: 'torch', trains: true, computes: 'dense', headsFirst: true },
    command: () => [python(), join(PROCESSES, 'torch_peer.py'), 'torch'],
  },
  {
    // The first chunk looks back at the last.
    ...{ name: 'reformer-pytorch', trains: true, computes: 'lsh', headsFirst: true, chunks: 2 },
    command: () => [python(), join(PROCESSES, 'torch_peer.py'), 'reformer-pytorch'],
  },
  ...tfOps('tfjs-node', 'tensorflow'),
];

/** Starts peers, and gives those that are there; of each a note says its version, or why it is absent. */
export async function* startPeers(
  peers: readonly Peer[],
  { options, findings, progress }: Pick<Context, 'options' | 'findings' | 'progress'>,
): AsyncGenerator<Entrant> {
  for (const peer of peers) {
    progress(`starting ${peer.name}`);
    const { note, entrant } = await startPeer(peer, options);
    findings.peer(note);
    progress(`${note.name} ${note.version ?? `is absent: ${note.absent}`}`);
    if (entrant !== undefined) {
      yield entrant;
    }
  }
}

async function startPeer(
  peer: Peer,
  options: BenchOptions,
): Promise<{ readonly note: PeerNote; readonly entrant?: Entrant }> {
  const { name } = peer;
  const started = new PeerProcess(peer.command());
  try {
    const { version } = await started.answer();
    return { note: { name, version: String(version) }, entrant: entrantOf(peer, started, options) };
  } catch (error) {
    started.end();
    return { note: { name, absent: `${(error as Error).message} ${INSTALL}` } };
  }
}

function entrantOf(peer: Peer, running: PeerProcess, options: BenchOptions): Entrant {
  const threads = options.threads ?? availableParallelism();
  const ask = async (test: Case, params: Params, inputs: Inputs) => {
    const { B, H, L, D } = params;
    const file = inputs.file(B * H * L * D);
    const train = test.suite === 'training';
    await running.ask({ do: 'prepare', params, file, sets: SETS, threads, train, correct: true });
  };
  return {
    ...{ name: peer.name, power: peer.computes === 'lsh' ? 1 : 2 },
    unable: ({ suite, params: { L, C } }) => {
      if (suite === 'training' && !peer.trains) {
        return 'it does not train';
      }
      return peer.chunks === 2 && L % (2 * C) !== 0 ? 'it takes pairs of whole chunks' : undefined;
    },
    prepare: async (test, inputs): Promise<Entry> => {
      const maxError = await errorOfPeer(peer, test, inputs, running, ask);
      await ask(test, test.params, inputs);
      return {
        ...(maxError !== undefined && { maxError }),
        run: async (set) => (await running.ask({ do: 'run', set })).ms as number,
        dispose: () => {},
      };
    },
    end: () => running.end(),
  };
}

/** Of dense attention at the case itself; of LSH attention where its chunks hold all, and it must be dense. */
async function errorOfPeer(
  { computes, headsFirst, chunks = 1 }: Peer,
  test: Case,
  inputs: Inputs,
  running: PeerProcess,
  ask: (test: Case, params: Params, inputs: Inputs) => Promise<void>,
): Promise<number | undefined> {
  const lsh = computes === 'lsh';
  const L = lsh ? Math.min(256, test.params.L) : test.params.L;
  const params: Params = { ...test.params, L, ...(lsh && { C: L / chunks, R: 1 }) };
  const { B, H, D } = params;
  const [set] = SETS as [(typeof SETS)[0]];
  const part = (start: number) => inputs.part(start, B * H * L * D);
  // What comes out is looked at, whatever is trained.
  await ask({ suite: 'attention', params }, params, inputs);
  const output = inputs.outputFile();
  await running.ask({ do: 'run', set: 0, output });
  const bytes = readFileSync(output);
  const out = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const tensors: Tensors = {
    q: part(set.q),
    v: part(set.v),
    ...(!lsh && { k: part(set.k) }),
    at: (head, token) => (headsFirst ? head * L + token : token * H + head) * D,
    scale: 1 / Math.sqrt(D),
  };
  return errorOf(out, (place) => denseRow(tensors, params, place), tensors, params);
}
