import { expect, test } from 'vitest';
import { useSubgroups } from '../../src/attention/subgroups.js';
import { traitsOf } from '../../src/webgpu/traits.js';

const device = (smallest: number, largest: number, ...features: string[]) =>
  ({
    limits: {},
    features: new Set(features),
    adapterInfo: { subgroupMinSize: smallest, subgroupMaxSize: largest },
  }) as unknown as GPUDevice;

test('a device’s subgroups count once their kernels are there', () => {
  expect(traitsOf(device(32, 32, 'subgroups')).subgroupSize).toBe(0);
  useSubgroups();
  expect(traitsOf(device(32, 32, 'subgroups')).subgroupSize).toBe(32);
  expect(traitsOf(device(8, 16, 'subgroups')).subgroupSize).toBe(0);
  expect(traitsOf(device(32, 32)).subgroupSize).toBe(0);
});
