/** onnxruntime-node as a peer: `node onnxruntime.mjs webgpu|cpu`, with its own Dawn in a process of its own. */
import { createRequire } from 'node:module';
import { attentionModel } from './onnxModel.mjs';
import { numbers, serve } from './protocol.mjs';

const provider = process.argv[2];
const require = createRequire(new URL('../peers/package.json', import.meta.url));
const ort = require('onnxruntime-node');

await serve(ort.env.versions?.node ?? require('onnxruntime-node/package.json').version, async (request) => {
  const { B, H, L, D } = request.params;
  const session = await ort.InferenceSession.create(attentionModel(request.params), {
    executionProviders: [provider],
    intraOpNumThreads: request.threads,
    logSeverityLevel: 3,
  });
  const sets = request.sets.map((set) => {
    const feed = (first) =>
      new ort.Tensor('float32', numbers(request.file, first, B * L * H * D), [B, L, H * D]);
    return { query: feed(set.q), key: feed(set.k), value: feed(set.v) };
  });
  return {
    run: async (set) => (await session.run(sets[set])).output.data,
    dispose: () => session.release(),
  };
});
