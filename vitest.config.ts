import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { CHROMIUM_FLAGS } from './test/browser/flags.js';

/**
 * Three projects: `node` needs nothing but Node, `gpu` runs on Dawn (LSH_ADAPTER chooses the
 * adapter), `browser` in headless Chromium (LSH_CHROMIUM is its path; scripts/test.mjs finds one).
 */
export default defineConfig({
  test: {
    // Vitest alone would leave a core idle, of which there may be two.
    maxWorkers: '100%',
    tags: [{ name: 'deep', description: 'gradients of rows that lavapipe compiles half a minute for' }],
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
          // Two processes for all files: one compiles, on one core, while the other computes.
          pool: 'forks',
          isolate: false,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
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
