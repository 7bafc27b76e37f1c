/** Numbers of a command line, checked. */
import { resolve } from 'node:path';

/** What `parseArgs` has read. */
type Given = Readonly<Record<string, string | boolean | undefined>>;

/** A whole number in bounds, a multiple of `step`. */
export function integer(
  given: Given,
  name: string,
  otherwise: number,
  [least, most, step = 1]: readonly [number, number, number?],
): number {
  const value = given[name] === undefined ? otherwise : Number(given[name]);
  if (given[name] === '' || !(value >= least && value <= most) || value % step !== 0) {
    const kind = step === 1 ? 'an integer' : step === 2 ? 'an even integer' : `a multiple of ${step}`;
    throw new RangeError(`--${name} must be ${kind} from ${least} to ${most}, got '${given[name]}'.`);
  }
  return value;
}

/** A number above 0. */
export function positive(given: Given, name: string, otherwise: number): number {
  const value = given[name] === undefined ? otherwise : Number(given[name]);
  if (!(value > 0)) {
    throw new RangeError(`--${name} must be a number above 0, got '${given[name]}'.`);
  }
  return value;
}

/** A path where the command was given. */
export function placed(path: string): string {
  return resolve(process.env.INIT_CWD ?? '.', path);
}
