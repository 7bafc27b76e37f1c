/** Random calls of public functions: each gives what it should or refuses in the words of the house, and keeps no tensor. */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Backend, onBackend } from '../call.js';

/** Calls of each function: LSH_FUZZ says how many, LSH_FUZZ_SEED repeats those of an earlier run. */
const WANTED = process.env.LSH_FUZZ;
const CALLS = Number(WANTED ?? 200);
const SEED = Number(process.env.LSH_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** A call that takes longer, in milliseconds, hangs. */
const LONGEST = 15_000;
/** What one case may leave in memory beside what it was given: nothing grows with what a file or an option says. */
const MOST_BYTES = 2 ** 27;

/** What the engine says when something was not checked. */
const RAW =
  /Cannot (read|convert|set|destructure|mix|access)|is not (a function|iterable|a constructor|defined)|Invalid (typed array|array|string|URL)|allocation failed|Maximum call stack|(Unexpected|Expected) .*JSON|out of bounds|serialize|assert/i;

/** How a function answered: with a value, or by refusing. */
export type Outcome<T> = { readonly value: T } | undefined;

/**
 * Calls a function. What it refuses, it refuses by a RangeError, TypeError or Error whose message begins with one of
 * `names`; all else fails the test.
 */
export async function outcome<T>(names: readonly string[], call: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await call() };
  } catch (error) {
    const thrown = error as Error;
    const isKnown =
      [RangeError, TypeError, Error].some((kind) => kind === thrown.constructor) &&
      names.some((name) => thrown.message.startsWith(`${name}: `)) &&
      !RAW.test(thrown.message);
    expect(isKnown, `an error of ${names.join(' or ')}, got ${thrown.stack}`).toBe(true);
    return undefined;
  }
}

interface FuzzOptions {
  /** Cases, as a part of CALLS; all of them on cpu where LSH_FUZZ asks. */
  readonly share?: number;
  readonly backend?: Backend;
  /** Whether some cases are answered. */
  readonly answers?: boolean;
}

/**
 * A test of CALLS · `share` random cases. `check` calls and looks at the answer; it tells whether there was one, so that
 * neither half of the work goes missing.
 */
export function fuzz<T>(
  name: string,
  cases: fc.Arbitrary<T>,
  check: (one: T) => Promise<boolean>,
  { share = 1, backend = 'cpu', answers = true }: FuzzOptions = {},
): void {
  const numRuns = WANTED && backend === 'cpu' ? CALLS : Math.ceil(CALLS * share);
  const about = `${name} on ${backend}`;
  const property = fc.asyncProperty(cases, async (one) => {
    const before = { tensors: tf.memory().numTensors, bytes: bytesInUse(), time: performance.now() };
    const isAnswered = await check(one);
    answered += Number(isAnswered);
    expect(tf.memory().numTensors - before.tensors, 'tensors kept').toBe(0);
    expect(bytesInUse() - before.bytes, 'bytes kept').toBeLessThan(MOST_BYTES);
    expect(performance.now() - before.time, 'milliseconds').toBeLessThan(LONGEST);
  });
  let answered = 0;
  test(
    about,
    () =>
      onBackend(backend, async () => {
        await fc.assert(property, { numRuns, seed: SEED });
        console.info(`${about}: ${numRuns} cases, seed ${SEED}: ${answered} answered`);
        if (answers && numRuns >= 100) {
          expect(answered).toBeGreaterThan(numRuns / 20);
          expect(answered).toBeLessThan(numRuns);
        }
      }),
    120_000 + 20 * LONGEST + 500 * numRuns,
  );
}

function bytesInUse(): number {
  return process.memoryUsage().arrayBuffers;
}

/** The values of tensors, which are disposed. */
export async function valuesOf(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  try {
    return await Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
  } finally {
    tf.dispose([...tensors]);
  }
}

/** Finite input gives finite numbers. */
export function expectFinite(values: ArrayLike<number>, what: string): void {
  const place = Array.from(values).findIndex((value) => !Number.isFinite(value));
  expect(place, `${what}: the place of a number that is not finite, ${values[place]}`).toBe(-1);
}
