import { defineConfig } from 'vite';
import { leanWgsl } from './scripts/leanWgsl.js';

/** The library: one ES module an entry, WGSL inlined, everything from npm left outside. */
export default defineConfig({
  plugins: [leanWgsl()],
  build: {
    target: 'es2022',
    minify: false,
    sourcemap: true,
    lib: {
      entry: {
        index: 'src/index.ts',
        layers: 'src/layers/index.ts',
        reformer: 'src/reformer/index.ts',
        search: 'src/search/index.ts',
        webgpu: 'src/webgpu/device.ts',
        node: 'src/node/index.ts',
      },
      formats: ['es'],
    },
    rolldownOptions: {
      external: /^(?!\.{0,2}\/)(?!src\/)[@a-z]/,
      // What entries share, under names that stay from build to build: the list of published files is tested.
      output: {
        chunkFileNames: 'chunks/[name].js',
        // Kernels are much alike: side by side they pack well, far apart they are out of gzip's sight.
        codeSplitting: {
          groups: [
            { name: 'subgroups', test: /_subgroup\.wgsl/, priority: 1 },
            { name: 'kernels', test: /\.wgsl/ },
          ],
        },
      },
    },
  },
});
