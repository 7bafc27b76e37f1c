/**
 * WGSL as it is shipped: comments, blanks and long names are two thirds of a kernel's bytes, and nobody reads them in
 * dist/. Every token stays in its place, and what the host names keeps its name; a test compares them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/** Names, and what takes their place. */
type Names = ReadonlyMap<string, string>;

const WORD = /\b[a-z_]\w*/gi;

/** What the host sets by its name in a kernel's text, see withSizes in src/webgpu/dispatch.ts. */
const SIZES = /^(ROWS|SUBGROUP|\w+_VECTORS)$/;

/** The same module in fewer bytes; `short` has another name for some of its names. */
export function lean(code: string, short: Names): string {
  const bare = withoutComments(code);
  const kept = namesToKeep(bare);
  return (
    bare
      .replace(WORD, (name) => (kept.has(name) ? name : (short.get(name) ?? name)))
      .replace(/\s+/g, ' ')
      // Two words, or two operators, may be one token when they meet.
      .replace(/ ?([,;:(){}[\]]) ?/g, '$1')
      .replace(/(?<=\w) (?=\W)|(?<=\W) (?=\w)/g, '')
      .trim()
  );
}

/**
 * Short names for long ones, the commonest first: one for the same name in all kernels, so that texts which are
 * alike stay alike, and none that any kernel has. So what a name means where it is declared twice does not change.
 */
export function shortNames(codes: readonly string[]): Names {
  const kernels = codes.map(withoutComments);
  const names = (code: string) => Array.from(code.matchAll(WORD), ([name]) => name);
  const counts = new Map<string, number>();
  for (const code of kernels) {
    const kept = namesToKeep(code);
    for (const name of names(code).filter((one) => one.length > 2 && !kept.has(one))) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const taken = new Set(kernels.flatMap(names));
  const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  // No word of the language is a letter and a digit.
  const made = ['', ...'0123456789'].flatMap((digit) => letters.map((letter) => letter + digit));
  const free = made.filter((name) => !taken.has(name));
  const long = [...counts].sort(([, a], [, b]) => b - a);
  return new Map(long.map(([name], i) => [name, free[i] ?? name]));
}

/** Names of a kernel that are not declared in it, or mean something else in other places of it, or to the host. */
function namesToKeep(code: string): ReadonlySet<string> {
  const all = (pattern: RegExp, text = code) =>
    Array.from(text.matchAll(pattern), ([found, name]) => name ?? found);
  const parameters = all(/\bfn \w+\(((?:[^()]|\([^)]*\))*)\)/g).flatMap((list) => all(/(\w+):/g, list));
  const values = all(/\b(?:let|const|var(?:<(?:workgroup|uniform)>)?) (\w+)/g);
  const callable = new Set(all(/\b(?:fn|struct) (\w+)/g));
  const declared = new Set([...parameters, ...values, ...callable]);
  const fields = all(/\bstruct \w+ {([^}]*)}/g).flatMap((body) => all(/(\w+):/g, body));
  const called = all(/(\w+)\(/g).filter((name) => !callable.has(name));
  const foreign = all(WORD).filter((name) => !declared.has(name) || SIZES.test(name));
  return new Set(['main', 'Params', ...foreign, ...fields, ...called, ...all(/[.@](\w+)/g)]);
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ' ');
}

/** The texts of all kernels. */
function readKernels(): string[] {
  const folder = fileURLToPath(new URL('../kernels', import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.wgsl'))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8'));
}

/** A plugin of vite for `import code from '….wgsl?raw'`. */
export function leanWgsl(): Plugin {
  const short = shortNames(readKernels());
  return {
    name: 'lean-wgsl',
    enforce: 'pre',
    load(id) {
      const [file = '', query] = id.split('?');
      return file.endsWith('.wgsl') && query === 'raw'
        ? `export default ${JSON.stringify(lean(readFileSync(file, 'utf8'), short))};`
        : undefined;
    },
  };
}
