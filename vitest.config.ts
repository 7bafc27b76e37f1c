import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { CHROMIUM_FLAGS } from './test/browser/flags.js';

/**
 * Three projects: `node` needs nothing but Node, `gpu` runs on Dawn (LSH_ADAPTER chooses the
 * adapter), `browser` in headless Chromium (LSH_CHROMIUM is its path; scripts/test.mjs finds one).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/{unit,package,examples,transformers,demo}/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'gpu',
          include: ['test/{gpu,golden,property,fuzz}/**/*.test.ts'],
          setupFiles: ['test/setupGpu.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One process for all files: adapters and pipelines are made once.
          pool: 'forks',
          isolate: false,
          fileParallelism: false,
          env: { WEBGPU_CPU_FORWARD: 'false' },
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: process.env.LSH_CHROMIUM,
                args: [...CHROMIUM_FLAGS],
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
