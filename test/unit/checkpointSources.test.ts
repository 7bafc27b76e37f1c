/** Models out of servers, file pickers and objects of the caller's. */
import '@tensorflow/tfjs-backend-cpu';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LoadProgress, loadReformer, type Reformer, saveReformer } from '../../src/reformer/index.js';
import { bitsOf, MemoryFolder, smallModel } from '../checkpoints.js';

/** Files of more than the first request of a server's asks for. */
const WIDE = { vocab_size: 3000 };
const whole = new MemoryFolder();
const sharded = new MemoryFolder();
let bits: Record<string, number[]>;

beforeAll(async () => {
  await tf.setBackend('cpu');
  const model = smallModel(WIDE);
  bits = await bitsOf(model);
  await saveReformer(model, whole);
  await saveReformer(model, sharded, { maxShardBytes: 100_000 });
  model.dispose();
});

/** The bytes of a folder's weights. */
const weightBytes = ({ files }: MemoryFolder) =>
  [...files].reduce((sum, [name, { length }]) => sum + (name.endsWith('.safetensors') ? length : 0), 0);

async function expectSame(model: Reformer): Promise<void> {
  expect(await bitsOf(model)).toEqual(bits);
  model.dispose();
}

/** Expects progress that only grows, and ends at all bytes. */
function expectWhole(seen: readonly LoadProgress[], folder: MemoryFolder, least = 3): void {
  expect(seen.length).toBeGreaterThanOrEqual(least);
  expect(seen.at(-1)).toEqual({ bytes: weightBytes(folder), totalBytes: weightBytes(folder) });
  for (const [i, { bytes, totalBytes }] of seen.entries()) {
    expect(bytes).toBeGreaterThanOrEqual(seen[i - 1]?.bytes ?? 0);
    expect(totalBytes).toBe(weightBytes(folder));
  }
}

describe('a server', () => {
  /** How the server of a test answers, where it does not as it should. */
  interface Manner {
    readonly ranges?: boolean;
    readonly hidesRange?: boolean;
    readonly compresses?: boolean;
    readonly page?: boolean;
    answer?(request: IncomingMessage, response: ServerResponse): boolean;
  }
  let folder = whole;
  let manner: Manner = {};
  let requests: string[] = [];
  let server: Server;
  let url = '';

  beforeAll(async () => {
    server = createServer((request, response) => {
      const name = new URL(request.url ?? '', 'http://localhost').pathname.replace('/models/mine/', '');
      const file = folder.files.get(name);
      requests.push(`${name} ${request.headers.range ?? 'whole'}`);
      if (manner.answer?.(request, response)) {
        return;
      }
      if (file === undefined) {
        response
          .writeHead(manner.page ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' })
          .end('<html>');
        return;
      }
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (manner.ranges && from !== undefined) {
        const [start, end] = [Number(from), Math.min(Number(to) + 1, file.length)];
        const range = manner.hidesRange
          ? {}
          : { 'content-range': `bytes ${start}-${end - 1}/${file.length}` };
        response.writeHead(206, { 'content-length': end - start, ...range }).end(file.subarray(start, end));
      } else if (manner.compresses) {
        const body = gzipSync(file);
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
      } else {
        response.writeHead(200, { 'content-length': file.length }).end(file);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/mine`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Sets the server up, and loads from it. */
  async function load(
    how: Manner,
    { from = whole, at = url, signal }: { from?: MemoryFolder; at?: string | URL; signal?: AbortSignal } = {},
  ) {
    [manner, folder, requests] = [how, from, []];
    const seen: LoadProgress[] = [];
    const before = tf.memory().numTensors;
    const loading = loadReformer(at, {
      onProgress: (progress) => seen.push(progress),
      ...(signal && { signal }),
    });
    const model = await loading.catch((error) => {
      expect(tf.memory().numTensors).toBe(before);
      throw error;
    });
    return { model, seen };
  }

  test.each<[string, Manner]>([
    ['with ranges', { ranges: true }],
    ['without ranges', {}],
    ['that hides its ranges from us', { ranges: true, hidesRange: true }],
    ['that compresses', { compresses: true }],
    ['that answers with a page for what is not there', { ranges: true, page: true }],
  ])('%s', async (_, how) => {
    for (const from of [whole, sharded]) {
      const { model, seen } = await load(how, { from });
      await expectSame(model);
      // The size of what is compressed is known when it is there.
      expectWhole(seen, from, how.compresses ? 1 : 3);
    }
  });

  test('is asked for no byte twice, where it knows ranges', async () => {
    const { model } = await load({ ranges: true }, { at: new URL(`${url}/?token=secret`) });
    await expectSame(model);
    const first = 2 ** 16 - 1;
    const { length } = whole.files.get('model.safetensors') as Uint8Array;
    expect(requests).toEqual([
      `config.json bytes=0-${first}`,
      `model.safetensors bytes=0-${first}`,
      `model.safetensors bytes=${first + 1}-${length - 1}`,
    ]);
  });

  test('is not asked for weights that the header shows to be others', async () => {
    const other = new MemoryFolder();
    const model = smallModel({ ...WIDE, feed_forward_size: 16 });
    await saveReformer(model, other);
    model.dispose();
    other.files.set('config.json', whole.files.get('config.json') as Uint8Array<ArrayBuffer>);
    await expect(load({ ranges: true }, { from: other })).rejects.toThrow(/6 of another shape/);
    expect(requests).toHaveLength(2);
  });

  test.each<[string, Manner, string]>([
    [
      'that fails',
      { answer: (_, response) => Boolean(response.writeHead(503).end()) },
      'config.json in URL cannot be read: the server answered 503 Service Unavailable.',
    ],
    [
      'that hangs up',
      { answer: (_, response) => Boolean(response.destroy()) },
      'config.json in URL cannot be read: fetch failed',
    ],
    [
      'that sends less than it says',
      {
        ranges: true,
        answer: ({ headers, url }, response) =>
          Boolean(url?.endsWith('model.safetensors') && headers.range?.startsWith('bytes=65536-')) &&
          Boolean(
            response
              .writeHead(206, {
                'content-range': `bytes 65536-65540/${whole.files.get('model.safetensors')?.length}`,
              })
              .end('short'),
          ),
      },
      'model.safetensors in URL cannot be read: bytes ',
    ],
    [
      'whose file changes meanwhile',
      {
        ranges: true,
        answer: ({ headers, url }, response) =>
          Boolean(url?.endsWith('model.safetensors') && headers.range?.startsWith('bytes=65536-')) &&
          Boolean(response.writeHead(206, { 'content-range': 'bytes 65536-65540/70000' }).end('other')),
      },
      'model.safetensors in URL cannot be read: the server answered a second request otherwise than the first.',
    ],
  ])('%s is named', async (_, how, message) => {
    await expect(load(how)).rejects.toThrow(`loadReformer: ${message.replace('URL', url)}`);
  });

  test('is left when the signal says so', async () => {
    const stop = new AbortController();
    const how: Manner = {
      ranges: true,
      answer: ({ headers }) => {
        if (headers.range?.startsWith('bytes=65536-')) {
          stop.abort(new Error('enough'));
          return true; // never answered
        }
        return false;
      },
    };
    await expect(load(how, { signal: stop.signal })).rejects.toThrow(/^enough$/);
    await expect(load(how, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(/^before$/);
    expect(requests).toEqual([]);
  });
});

describe('a picker', () => {
  const files = (folder: MemoryFolder, path = '') =>
    Array.from(folder.files, ([name, bytes]) => {
      const file = new File([bytes], name);
      return path === '' ? file : Object.assign(file, { webkitRelativePath: `${path}/${name}` });
    });

  test('of files', async () => {
    const seen: LoadProgress[] = [];
    await expectSame(await loadReformer(files(whole), { onProgress: (progress) => seen.push(progress) }));
    expectWhole(seen, whole);
    await expectSame(await loadReformer(files(sharded)));
  });

  test('of a folder, with others in it', async () => {
    const inside = Object.assign(new File(['{}'], 'config.json'), {
      webkitRelativePath: 'mine/old/config.json',
    });
    await expectSame(await loadReformer([...files(whole, 'mine'), inside]));
  });

  test('of too few files', async () => {
    await expect(loadReformer(files(whole).filter(({ name }) => name !== 'config.json'))).rejects.toThrow(
      'loadReformer: there is no config.json with an object in the files given.',
    );
    await expect(loadReformer([])).rejects.toThrow('there is no config.json');
  });
});

describe('an object of the caller’s', () => {
  test('that wrote a model reads it', async () => {
    const seen: LoadProgress[] = [];
    await expectSame(await loadReformer(sharded, { onProgress: (progress) => seen.push(progress) }));
    expectWhole(seen, sharded);
  });

  test('that gives too little, or throws, is named', async () => {
    const size = async () => 10;
    await expect(loadReformer({ size, read: async () => new Uint8Array(3) })).rejects.toThrow(
      'loadReformer: config.json in the folder given cannot be read: bytes 0 to 10 were asked for, and 3 came.',
    );
    await expect(loadReformer({ size, read: async () => 'text' as never })).rejects.toThrow(
      'bytes 0 to 10 were asked',
    );
    await expect(loadReformer({ size, read: () => Promise.reject(new Error('no key')) })).rejects.toThrow(
      'config.json in the folder given cannot be read: no key.',
    );
  });

  test('that reads into buffers of Node', async () => {
    const pool = {
      size: (name: string) => whole.size(name),
      read: async (name: string, start: number, end: number) =>
        Buffer.concat([Buffer.of(1), await whole.read(name, start, end)]).subarray(1),
    };
    await expectSame(await loadReformer(pool as never));
  });
});
