/** Tokenizers: bytes, and files of Hugging Face's against what its Python package makes of them. */
import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { ByteTokenizer, loadTokenizer, type Tokenizer } from '../../src/reformer/index.js';

const TEXTS = ['', 'plain', 'crème brûlée für 99 €', '你好 🙂🚀', '\uFEFFmark', 'a\u0000b\uFFFDc'];

/** A text that grows token by token. */
function streamed(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const stream = tokenizer.stream();
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

describe('bytes', () => {
  const tokenizer = new ByteTokenizer();

  test('are ids less two, and back', () => {
    expect(tokenizer.vocabSize).toBe(258);
    expect(tokenizer.encode('Aé')).toEqual([67, 0xc3 + 2, 0xa9 + 2]);
    expect(tokenizer.encode(Uint8Array.of(0, 255))).toEqual([2, 257]);
    for (const text of TEXTS) {
      const ids = tokenizer.encode(text);
      expect(ids).toEqual(Array.from(Buffer.from(text), (byte) => byte + 2));
      expect(tokenizer.decode(ids)).toBe(text);
      expect(streamed(tokenizer, ids).join('')).toBe(text);
    }
    expect([...tokenizer.bytes([2, 0, 257, 1])]).toEqual([0, 255]);
  });

  test('come out as characters once these are whole', () => {
    expect(streamed(tokenizer, tokenizer.encode('a€b'))).toEqual(['a', '', '', '€', 'b', '']);
    expect(streamed(tokenizer, tokenizer.encode('a€').slice(0, -1))).toEqual(['a', '', '', '\uFFFD']);
    expect(streamed(tokenizer, [...tokenizer.encode('€').slice(0, 2), 100, 0])).toEqual([
      '',
      '',
      '\uFFFDb',
      '',
      '',
    ]);
  });

  test('are refused beyond the vocabulary', () => {
    for (const id of [258, -1, 2.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(
        'ByteTokenizer: `id` must be an integer from 0 to 257, got',
      );
    }
    expect(() => tokenizer.encode(7 as never)).toThrow(
      'ByteTokenizer: `text` must be a string or a Uint8Array, got number.',
    );
  });
});

// Written by make.py in that folder.
describe.each(['byte-bpe', 'unigram'])('the file of %s', (name) => {
  const folder = `test/golden/data/tokenizers/${name}`;
  const { vocabSize, cases } = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as {
    vocabSize: number;
    cases: { text: string; ids: number[]; decoded: string }[];
  };

  test('gives the ids and texts that Python gives', async () => {
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.vocabSize).toBe(vocabSize);
    for (const { text, ids, decoded } of cases) {
      expect(tokenizer.encode(text), text).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(streamed(tokenizer, ids).join('')).toBe(decoded);
    }
  });

  test('is read out of a picker', async () => {
    const file = new File([readFileSync(`${folder}/tokenizer.json`)], 'tokenizer.json');
    expect((await loadTokenizer([file])).encode(cases[0]?.text as string)).toEqual(cases[0]?.ids);
  });
});

test('a character of several tokens comes out with the last', async () => {
  const tokenizer = await loadTokenizer('test/golden/data/tokenizers/byte-bpe');
  const ids = tokenizer.encode('Ξ!');
  const pieces = streamed(tokenizer, ids);
  expect(ids).toHaveLength(3);
  expect(pieces).toEqual(['', 'Ξ', '!', '']);
});

test('what is no tokenizer is refused', async () => {
  await expect(loadTokenizer([])).rejects.toThrow(
    /^loadTokenizer: there is no tokenizer\.json in the files given\. With transformers, .* use ByteTokenizer\.$/,
  );
  for (const text of ['{}', '{"model": {"type": "None"}}', '[]']) {
    await expect(loadTokenizer([new File([text], 'tokenizer.json')])).rejects.toThrow(
      /^loadTokenizer: tokenizer\.json in the files given is no tokenizer that @huggingface\/tokenizers reads: /,
    );
  }
});

test('ids and texts that are none are refused', async () => {
  const tokenizer = await loadTokenizer('test/golden/data/tokenizers/unigram');
  expect(() => tokenizer.decode([103])).toThrow('Tokenizer: `id` must be an integer from 0 to 102, got 103.');
  expect(() => tokenizer.stream().push(0.5)).toThrow(
    'Tokenizer: `id` must be an integer from 0 to 102, got 0.5.',
  );
  expect(() => tokenizer.encode(undefined as never)).toThrow(
    'Tokenizer: `text` must be a string, got undefined.',
  );
});

test('the package is asked for where it is not installed', async () => {
  vi.doMock('@huggingface/tokenizers', () => {
    throw new Error('Cannot find package');
  });
  await expect(loadTokenizer('test/golden/data/tokenizers/unigram')).rejects.toThrow(
    'loadTokenizer: the npm package @huggingface/tokenizers does not load. Run: npm install @huggingface/tokenizers',
  );
  vi.doUnmock('@huggingface/tokenizers');
});
