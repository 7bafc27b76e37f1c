import attendBackwardKeySubgroup from '../../kernels/attend/backward_key_subgroup.wgsl?raw';
import attendBackwardQuerySubgroup from '../../kernels/attend/backward_query_subgroup.wgsl?raw';
import attendForwardSubgroup from '../../kernels/attend/forward_subgroup.wgsl?raw';
import denseBackwardKeySubgroup from '../../kernels/dense/backward_key_subgroup.wgsl?raw';
import denseBackwardQuerySubgroup from '../../kernels/dense/backward_query_subgroup.wgsl?raw';
import denseForwardSubgroup from '../../kernels/dense/forward_subgroup.wgsl?raw';
import hashRotateSubgroup from '../../kernels/hash/rotate_subgroup.wgsl?raw';
import { offerSubgroups } from '../webgpu/traits.js';

/** The variants for subgroups: a quarter of all kernels, and of use on devices alone that tfjs does not make. */
export const subgroupKernels = {
  'hash/rotate_subgroup': hashRotateSubgroup,
  'attend/forward_subgroup': attendForwardSubgroup,
  'attend/backward_query_subgroup': attendBackwardQuerySubgroup,
  'attend/backward_key_subgroup': attendBackwardKeySubgroup,
  'dense/forward_subgroup': denseForwardSubgroup,
  'dense/backward_query_subgroup': denseBackwardQuerySubgroup,
  'dense/backward_key_subgroup': denseBackwardKeySubgroup,
};

/**
 * Lets calls take the kernels' variants for subgroups, where the device has subgroups of one size. `useOwnDevice`,
 * `autotune` and `useTuning` do so themselves: call it for a device that you have made and given to tfjs. The other entries
 * of the package come without these variants.
 */
export function useSubgroups(): void {
  offerSubgroups(subgroupKernels);
}
