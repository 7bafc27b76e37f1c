/** The demo page: `npm run demo` serves it, `npm run demo:build` makes a static site that any folder of any host can hold. */
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { chooseSentences } from './find/sentences.js';

const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** The sentences to find among, as a module of their own. */
const sentences: Plugin = {
  name: 'sentences',
  resolveId: (id) => (id === 'virtual:sentences' ? '\0sentences' : undefined),
  load: (id) =>
    id === '\0sentences'
      ? `export default JSON.parse(${JSON.stringify(JSON.stringify(chooseSentences()))});`
      : undefined,
};

/** tfjs in files of its own, one a package, so that what is ours can be told from it. */
const output = {
  codeSplitting: {
    groups: [
      {
        debugName: 'tfjs',
        test: /node_modules\/@tensorflow\//,
        name: (id: string) => /@tensorflow\/([\w-]+)/.exec(id)?.[1] as string,
      },
    ],
  },
};

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  resolve: {
    alias: [
      { find: /^tfjs-lsh-attention$/, replacement: source('index.ts') },
      { find: /^tfjs-lsh-attention\/(layers|search|reformer)$/, replacement: source('$1/index.ts') },
      { find: /^tfjs-lsh-attention\/webgpu$/, replacement: source('webgpu/device.ts') },
    ],
  },
  plugins: [sentences],
  worker: { format: 'es', plugins: () => [sentences], rolldownOptions: { output } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    rolldownOptions: { output },
  },
});
