/** Other libraries as entrants, each in a process of its own: two WebGPUs in one would meet. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Case, Entrant, Entry } from './entrant.js';
import { denseRow, errorOf, type Tensors } from './exact.js';
import type { Params, PeerNote } from './findings.js';
import { type Inputs, SETS } from './inputs.js';
import type { BenchOptions, Rival } from './options.js';

export const PEERS_FOLDER = fileURLToPath(new URL('peers/', import.meta.url));
const PROCESSES = fileURLToPath(new URL('processes/', import.meta.url));
const INSTALL = 'Try: npm run bench -- --suite peers --install';

/** The Python that has torch: the folder's own, or one that LSH_PYTHON names. */
export function python(): string {
  const own = join(PEERS_FOLDER, 'venv', 'bin', 'python');
  return process.env.LSH_PYTHON ?? (existsSync(own) ? own : 'python3');
}

/** How a peer is started, and what it can do. */
export interface Peer {
  readonly name: Rival;
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

const tfjsNode = (computes: string) =>
  node('--import', import.meta.resolve('tsx'), join(PROCESSES, 'tfjsNode.mjs'), computes);

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
  {
    ...{ name: 'tfjs-node', trains: true, computes: 'dense', headsFirst: true },
    command: () => tfjsNode('dense'),
  },
  {
    ...{ name: 'tfjs-node-composed', trains: true, computes: 'lsh', headsFirst: true, chunks: 1 },
    command: () => tfjsNode('composed'),
  },
];

/** What a peer's process answers. */
interface Answer {
  readonly version?: string;
  readonly ms?: number;
  readonly error?: string;
}

/** A peer's process: a request at a time, a line of JSON each way. */
class PeerProcess {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private complaints = '';

  constructor([file, ...args]: readonly [string, ...string[]]) {
    // Of a group of its own: Ctrl-C is for the bench, which ends it.
    this.child = spawn(file, args, {
      stdio: 'pipe',
      detached: true,
      env: { ...process.env, ...driverPath() },
    });
    this.child.stderr?.on('data', (text) => {
      this.complaints = `${this.complaints}${text}`.slice(-2000);
    });
    this.child.on('error', (error) => {
      this.complaints += error.message;
    });
    this.child.stdin?.on('error', () => {}); // it ended: the answer says so
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  async answer(): Promise<Answer> {
    const { value, done } = await this.lines.next();
    if (done) {
      const last = this.complaints.trim().split('\n').at(-1) ?? '';
      throw new Error(last || 'its process ended');
    }
    const answer = JSON.parse(value) as Answer;
    if (answer.error !== undefined) {
      throw new Error(answer.error);
    }
    return answer;
  }

  ask(request: object): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    return this.answer();
  }

  end(): void {
    this.child.stdin?.end();
    this.child.kill();
  }
}

/** A driver that came from npm has its loader beside it, which a process finds at its start alone. */
function driverPath(): Record<string, string> {
  const driver = process.env.VK_ICD_FILENAMES;
  const folder = driver === undefined ? undefined : dirname(driver);
  return folder !== undefined && existsSync(join(folder, 'libvulkan.so.1'))
    ? { LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') }
    : {};
}

/** Starts a peer; a note says its version, or why it is absent. */
export async function startPeer(
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
