import { defineConfig } from 'vite';

/** The library: one ES module an entry, WGSL inlined, everything from npm left outside. */
export default defineConfig({
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
    rolldownOptions: { external: /^(?!\.{0,2}\/)(?!src\/)[@a-z]/ },
  },
});
