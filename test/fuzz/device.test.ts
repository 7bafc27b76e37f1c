/** Random arguments of what belongs to a device, on one and away from it. */
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { lshAttention } from '../../src/index.js';
import { exposeWebGPU, useWebGPU } from '../../src/node/index.js';
import {
  autotune,
  currentDevice,
  measureBytes,
  measureCeilings,
  profile,
  traitsOf,
  useOwnDevice,
  useTuning,
} from '../../src/webgpu/device.js';
import { BACKENDS } from '../call.js';
import { fuzz, outcome } from './fuzz.js';
import { floats, junk, optionsOf, withReal } from './junk.js';

/** What these functions do not take: they would go to work otherwise, or make another device. */
const refused: Readonly<Record<string, (given: never) => unknown>> = {
  autotune: (given) => autotune({ surplus: given, ...(given as object) } as object),
  useOwnDevice: (given) => useOwnDevice({ powerPreference: given ?? 'none' }),
};
const calls: Readonly<Record<string, (given: never, options: never) => unknown>> = {
  useTuning: (given) => useTuning(given),
  profile: (given, options) => profile(given, options),
  measureBytes: (given) => measureBytes(given),
  traitsOf: (given) => traitsOf(given),
  ...refused,
};

describe.each(BACKENDS)('on %s', (backend) => {
  fuzz(
    'autotune, useTuning, profile, measureBytes, traitsOf, useOwnDevice, currentDevice, measureCeilings',
    fc.tuple(
      fc.constantFrom(...Object.keys(calls)),
      fc.oneof(
        junk,
        optionsOf({ adapter: fc.constantFrom('none', ''), tuning: junk }),
        fc.constant(() => lshAttention),
      ),
      fc.oneof(junk, fc.constant({})),
    ),
    ([name, argument, options]) =>
      withReal([floats([6, 3], 1), argument, options], async ([x, given, told]) => {
        const qk = x as unknown as Parameters<typeof lshAttention>[0];
        const call = typeof given === 'function' ? () => lshAttention(qk, qk).dispose() : given;
        const answer = await outcome([name], () => calls[name]?.(call as never, told as never));
        const device = await outcome(['currentDevice'], () => currentDevice());
        expect(device !== undefined).toBe(backend === 'webgpu');
        if (backend !== 'webgpu') {
          await outcome(['measureCeilings'], () => measureCeilings());
        } else if (device !== undefined) {
          expect(traitsOf(device.value).maxBufferSize).toBeGreaterThan(0);
        }
        return answer !== undefined;
      }),
    { backend, share: backend === 'cpu' ? 1 : 0.1, answers: backend === 'webgpu' },
  );
});

/** Null asks for nothing, and would start an adapter. */
const adapters = fc.record({ adapter: junk.filter((value) => value !== null) });
fuzz(
  'exposeWebGPU, useWebGPU',
  fc.tuple(fc.boolean(), adapters),
  async ([exposes, options]) => {
    const call = exposes ? exposeWebGPU : useWebGPU;
    return (await outcome(['useWebGPU'], () => call(options as object))) !== undefined;
  },
  { answers: false },
);
