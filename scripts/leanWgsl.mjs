/** WGSL as it is shipped: comments and indentation are half of a kernel's bytes, and nobody reads them in dist/. */
import { readFileSync } from 'node:fs';

/** The same tokens, line by line as they were. */
export function lean(code) {
  return code
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    .replace(/\s*\n\s*/g, '\n')
    .trim();
}

/** A plugin of vite for `import code from '….wgsl?raw'`. */
export const leanWgsl = {
  name: 'lean-wgsl',
  enforce: 'pre',
  load(id) {
    const [file, query] = id.split('?');
    return file.endsWith('.wgsl') && query === 'raw'
      ? `export default ${JSON.stringify(lean(readFileSync(file, 'utf8')))};`
      : undefined;
  },
};
