/** A library in a process of its own, which speaks the protocol of processes/protocol.mjs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** What a peer's process answers. */
interface Answer {
  readonly version?: string;
  readonly ms?: number;
  readonly error?: string;
}

/** A peer's process: a request at a time, a line of JSON each way. */
export class PeerProcess {
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
