/**
 * What a peer's process speaks, a line of JSON each way: `prepare` a case, `run` it on an input set and say how
 * long that took, write its `output`. Inputs are parts of one file of float32 numbers.
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** The numbers `first … first + count − 1` of a file. */
export function numbers(file, first, count) {
  const values = new Float32Array(count);
  const bytes = new Uint8Array(values.buffer);
  const handle = openSync(file, 'r');
  for (let at = 0; at < bytes.length; ) {
    const read = readSync(handle, bytes, at, bytes.length - at, 4 * first + at);
    if (read === 0) {
      throw new Error(`${file} ends before number ${first + count}.`);
    }
    at += read;
  }
  closeSync(handle);
  return values;
}

/**
 * Answers requests until standard input ends.
 *
 * @param version of the library, for people.
 * @param prepare takes a case and gives `run(set)`, which resolves to the output as a Float32Array.
 */
export async function serve(version, prepare) {
  const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  answer({ version });
  let prepared;
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      if (request.do === 'prepare') {
        await prepared?.dispose?.();
        prepared = await prepare(request);
        answer({});
        continue;
      }
      const started = performance.now();
      const output = await prepared.run(request.set);
      const ms = performance.now() - started;
      if (request.output !== undefined) {
        writeFileSync(request.output, new Uint8Array(output.buffer, output.byteOffset, output.byteLength));
      }
      answer({ ms });
    } catch (error) {
      answer({ error: String(error?.message ?? error) });
    }
  }
  await prepared?.dispose?.();
}
