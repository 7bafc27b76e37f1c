/** Models out of a server and a picker, and into an object of the page's, in a browser. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { loadReformer, loadTokenizer, saveReformer } from '../../src/reformer/index.js';
import { bitsOf } from '../checkpoints.js';

test('a model comes from a relative URL, goes into files, and comes back from them', async () => {
  await tf.setBackend('cpu');
  const seen: number[] = [];
  const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }) =>
    seen.push(bytes / totalBytes);
  const model = await loadReformer('/test/golden/data/huggingface/models/lm_causal', { onProgress });
  expect(seen.at(-1)).toBe(1);
  const files: File[] = [];
  await saveReformer(model, { write: (name, blob) => void files.push(new File([blob], name)) });
  const again = await loadReformer(files);
  expect(await bitsOf(again)).toEqual(await bitsOf(model));
  await expect(loadReformer('/test/nowhere')).rejects.toThrow('there is no config.json');
  await expect(saveReformer(model, 'folder')).rejects.toThrow('Give an object whose `write(name, blob)`');
  model.dispose();
  again.dispose();
});

test('a tokenizer comes from a URL', async () => {
  const tokenizer = await loadTokenizer('/test/golden/data/tokenizers/byte-bpe');
  expect(tokenizer.decode(tokenizer.encode('evening on the bridge'))).toBe('evening on the bridge');
});
