import searchCompare from '../../kernels/search/compare.wgsl?raw';
import searchHamming from '../../kernels/search/hamming.wgsl?raw';
import searchRerank from '../../kernels/search/rerank.wgsl?raw';
import searchTopk from '../../kernels/search/topk.wgsl?raw';

/** The nearest vectors, but for the sort. */
export const searchKernels = {
  'search/compare': searchCompare,
  'search/hamming': searchHamming,
  'search/rerank': searchRerank,
  'search/topk': searchTopk,
};
