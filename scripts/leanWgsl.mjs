/**
 * WGSL as it is shipped: comments, blanks and long names are two thirds of a kernel's bytes, and nobody reads them in
 * dist/. Every token stays in its place, and what the host names keeps its name; a test compares them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WORD = /\b[a-z_]\w*/gi;

/** The same module in fewer bytes; `short` has another name for some of its names. */
export function lean(code, short) {
  return (
    withoutComments(code)
      .replace(WORD, (name) => short.get(name) ?? name)
      .replace(/\s+/g, ' ')
      // Two words, or two operators, may be one token when they meet.
      .replace(/ ?([,;:(){}[\]]) ?/g, '$1')
      .replace(/(?<=\w) (?=\W)|(?<=\W) (?=\w)/g, '')
      .trim()
  );
}

/**
 * Short names for those that functions declare: one for the same name in all kernels, so that texts which are alike stay
 * alike, and no name that any of them has. So what a name means where it is declared twice does not change.
 */
export function shortNames(codes) {
  const kernels = codes.map(withoutComments);
  const counts = new Map();
  for (const [name] of kernels.flatMap((code) => [...code.matchAll(WORD)])) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const fixed = new Set(kernels.flatMap(namesToKeep));
  const saved = (name) => counts.get(name) * (name.length - 1);
  const long = [...counts.keys()].filter((name) => name.length > 2 && !fixed.has(name));
  const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  // No word of the language is a letter and a digit.
  const free = ['', ...'0123456789'].flatMap((digit) => letters.map((letter) => letter + digit));
  const fresh = free.filter((name) => !counts.has(name));
  return new Map(long.sort((a, b) => saved(b) - saved(a)).map((name, i) => [name, fresh[i] ?? name]));
}

/** Names of a kernel that its functions do not declare, or that mean something else in other places of it. */
function namesToKeep(code) {
  const all = (pattern, text = code) => Array.from(text.matchAll(pattern), (found) => found[1] ?? found[0]);
  const functions = all(/\bfn (\w+)/g);
  const parameters = all(/\bfn \w+\(((?:[^()]|\([^)]*\))*)\)/g).flatMap((list) => all(/(\w+):/g, list));
  const variables = all(/\b(?:let|var(?:<workgroup>)?) (\w+)/g);
  const declared = new Set([...functions, ...parameters, ...variables]);
  const fields = all(/\bstruct \w+ {([^}]*)}/g).flatMap((body) => all(/(\w+):/g, body));
  const called = all(/(\w+)\(/g).filter((name) => !functions.includes(name));
  const elsewhere = all(WORD).filter((name) => !declared.has(name));
  return ['main', ...elsewhere, ...fields, ...called, ...all(/[.@](\w+)/g)];
}

function withoutComments(code) {
  return code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ' ');
}

/** Every kernel's text, by its file below kernels/. */
export function readKernels() {
  const folder = fileURLToPath(new URL('../kernels', import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.wgsl'),
  );
  return Object.fromEntries(files.sort().map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}

/** A plugin of vite for `import code from '….wgsl?raw'`. */
export function leanWgsl() {
  const short = shortNames(Object.values(readKernels()));
  return {
    name: 'lean-wgsl',
    enforce: 'pre',
    load(id) {
      const [file, query] = id.split('?');
      return file.endsWith('.wgsl') && query === 'raw'
        ? `export default ${JSON.stringify(lean(readFileSync(file, 'utf8'), short))};`
        : undefined;
    },
  };
}
