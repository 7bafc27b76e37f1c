/** Commands as a user runs and stops them. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node. */
export function run(args: string[]): Promise<Ended> {
  return new Promise((resolve) =>
    execFile(process.execPath, args, (error, stdout, stderr) =>
      resolve({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
    ),
  );
}

/** Runs until the output, or what is said beside it, says `until`, then does what Ctrl-C does: interrupts the whole group. */
export function interrupted(args: string[], until: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { detached: true });
    let [stdout, stderr, sent] = ['', '', false];
    const listen = () => {
      if (!sent && (stdout.includes(until) || stderr.includes(until))) {
        sent = true;
        process.kill(-(child.pid as number), 'SIGINT');
      }
    };
    child.stdout.on('data', (text) => {
      stdout += text;
      listen();
    });
    child.stderr.on('data', (text) => {
      stderr += text;
      listen();
    });
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** Runs a file with a GPU, as `npm run gpu` does; fails where it fails. */
export function runFile(path: string, ...args: string[]): Promise<Omit<Ended, 'code'>> {
  return promisify(execFile)(process.execPath, ['scripts/gpu.mjs', path, ...args], {
    env: { ...process.env, INIT_CWD: process.cwd() },
  });
}
