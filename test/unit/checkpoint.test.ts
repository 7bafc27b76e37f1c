/** Models written and read again, and folders that are refused. */
import '@tensorflow/tfjs-backend-cpu';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  loadReformer,
  parseSafetensors,
  type Reformer,
  type StoredTensor,
  saveReformer,
  writeSafetensors,
} from '../../src/reformer/index.js';
import { bitsOf, MemoryFolder, SMALL, smallModel } from '../checkpoints.js';
import { uniform } from '../inputs.js';
import { toFloat16 } from '../oracle/float16.js';

const temporary = mkdtempSync(join(tmpdir(), 'lsh-checkpoint-'));
afterAll(() => rmSync(temporary, { recursive: true }));
beforeAll(async () => {
  await tf.setBackend('cpu');
});

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** What `work` gives, and that it left no tensor but the weights of the model that it returned. */
async function withoutLeak<T>(work: () => Promise<T>): Promise<T> {
  const before = tf.memory().numTensors;
  let held = 0;
  try {
    const result = await work();
    held = (result as Partial<Reformer> | undefined)?.weights?.size ?? 0;
    return result;
  } finally {
    expect(tf.memory().numTensors - before).toBe(held);
  }
}

async function savedInMemory(model: Reformer, options = {}): Promise<MemoryFolder> {
  const folder = new MemoryFolder();
  await withoutLeak(() => saveReformer(model, folder, options));
  return folder;
}

/** The tensors of a file of weights, to be changed. */
const tensorsOf = (folder: MemoryFolder, name = WEIGHTS) =>
  new Map(parseSafetensors(folder.files.get(name) as Uint8Array).tensors);
const put = (folder: MemoryFolder, tensors: ReadonlyMap<string, StoredTensor>, name = WEIGHTS) =>
  folder.files.set(name, writeSafetensors({ tensors }));
const zeros = (...shape: number[]): StoredTensor => ({
  shape,
  values: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});
const refusal = (folder: MemoryFolder) =>
  withoutLeak(() => loadReformer(folder)).then(
    () => 'loaded',
    (error: Error) => error.message,
  );

describe('a model is what it was', () => {
  const model = smallModel();
  afterAll(() => model.dispose());

  test.each([
    ['in one file', {}, ['config.json', WEIGHTS]],
    [
      'in shards',
      { maxShardBytes: 1500 },
      ['config.json', ...[1, 2, 3, 4].map((n) => `model-0000${n}-of-00004.safetensors`), INDEX],
    ],
  ])('%s', async (name, options, files) => {
    const folder = join(temporary, name, 'new');
    await withoutLeak(() => saveReformer(model, folder, options));
    expect(readdirSync(folder)).toEqual(files);
    const read = await withoutLeak(() => loadReformer(folder));
    expect(await bitsOf(read)).toEqual(await bitsOf(model));
    expect(read.config).toEqual({
      ...model.config,
      others: { ...model.config.others, ...read.config.others },
    });
    read.dispose();
  });

  test('in 16-bit floats, but for their rounding', async () => {
    const folder = pathToFileURL(join(temporary, 'half'));
    await saveReformer(model, folder, { dtype: 'float16' });
    const config = JSON.parse(readFileSync(new URL(`${folder}/config.json`), 'utf8'));
    expect(config).toMatchObject({ dtype: 'float16', model_type: 'reformer', hidden_size: 8 });
    const read = await withoutLeak(() => loadReformer(folder));
    for (const [name, weight] of model.weights) {
      const rounded = Array.from(await weight.data(), (value) => toFloat16(value) || 0);
      expect(Array.from((await read.weights.get(name)?.data()) ?? [], (value) => value || 0)).toEqual(
        rounded,
      );
    }
    read.dispose();
  });

  test('by the same bytes each time, in the order of names, with the format that transformers asks for', async () => {
    const [one, two] = [await savedInMemory(model), await savedInMemory(model)];
    expect(one.files).toEqual(two.files);
    const { metadata, tensors } = parseSafetensors(one.files.get(WEIGHTS) as Uint8Array);
    expect(metadata).toEqual({ format: 'pt' });
    expect([...tensors.keys()]).toEqual([...model.weights.keys()].sort());
  });

  test('with what its config.json says beside the model', async () => {
    const other = smallModel({ _name_or_path: 'mine', task_specific_params: { a: [1] } });
    const folder = await savedInMemory(other);
    const read = await loadReformer(folder);
    expect((await savedInMemory(read)).files).toEqual(folder.files);
    expect(JSON.parse(new TextDecoder().decode(folder.files.get('config.json')))).toMatchObject({
      _name_or_path: 'mine',
      task_specific_params: { a: [1] },
    });
    for (const each of [other, read]) {
      each.dispose();
    }
  });

  test('with floats that are floats to Python', async () => {
    const other = smallModel({ axial_norm_std: 1, hidden_dropout_prob: 0, initializer_range: 0.5 });
    const text = new TextDecoder().decode((await savedInMemory(other)).files.get('config.json'));
    other.dispose();
    expect(text).toMatch(/"axial_norm_std": 1\.0,\n/);
    expect(text).toMatch(/"hidden_dropout_prob": 0\.0,\n/);
    expect(text).toMatch(/"initializer_range": 0\.5,\n/);
    expect(text).toMatch(/"layer_norm_eps": 1e-12,\n/);
    expect(text).toMatch(/"hidden_size": 8,\n/);
  });

  test('in an index that names each weight and the bytes of all', async () => {
    const folder = await savedInMemory(model, { maxShardBytes: 2000 });
    const { metadata, weight_map } = JSON.parse(new TextDecoder().decode(folder.files.get(INDEX)));
    expect(Object.keys(weight_map).sort()).toEqual([...model.weights.keys()].sort());
    const sizes = [...model.weights.values()].map(({ size }) => 4 * size);
    expect(metadata.total_size).toBe(sizes.reduce((sum, size) => sum + size, 0));
    for (const [name, file] of Object.entries(weight_map as Record<string, string>)) {
      expect(tensorsOf(folder, file).has(name)).toBe(true);
    }
  });

  test('while training goes on', async () => {
    const moving = smallModel();
    const before = await bitsOf(moving);
    const folder = new MemoryFolder();
    const saving = saveReformer(moving, folder);
    for (const weight of moving.weights.values()) {
      weight.assign(tf.tidy(() => tf.add(weight, 1)));
    }
    await saving;
    moving.dispose();
    const read = await loadReformer(folder);
    expect(await bitsOf(read)).toEqual(before);
    read.dispose();
  });
});

describe('what other versions of transformers write', () => {
  const LAYER = 'reformer.encoder.layers.1.attention.self_attention';

  test('masks as constants of the layers are left out', async () => {
    const model = smallModel();
    const folder = await savedInMemory(model);
    const tensors = tensorsOf(folder);
    for (const name of [
      'self_mask_value_float16',
      'self_mask_value_float32',
      'mask_value_float16',
      'mask_value_float32',
    ]) {
      tensors.set(`${LAYER}.${name}`, zeros());
    }
    put(folder, tensors);
    const read = await withoutLeak(() => loadReformer(folder));
    expect(await bitsOf(read)).toEqual(await bitsOf(model));
    read.dispose();
    model.dispose();
  });

  test.each([
    ['under its second name alone', false],
    ['under both names', true],
  ])('the bias of the head %s', async (_, both) => {
    const model = smallModel();
    model.weights.get('lm_head.bias')?.assign(tf.range(0, 11));
    const folder = await savedInMemory(model);
    folder.edit('config.json', (text) => text.replace(/,\s*"lm_head_bias": \w+/, ''));
    const tensors = tensorsOf(folder);
    tensors.set('lm_head.decoder.bias', tensors.get('lm_head.bias') as StoredTensor);
    if (!both) {
      tensors.delete('lm_head.bias');
    }
    put(folder, tensors);
    const read = await withoutLeak(() => loadReformer(folder));
    expect(await bitsOf(read)).toEqual(await bitsOf(model));
    expect(read.config.lm_head_bias).toBe(true); // transformers 4 adds it, 5 does not
    read.dispose();
    model.dispose();
  });
});

describe('refused, with the way out, is', () => {
  const saved = async (options = {}) => {
    const model = smallModel();
    const folder = await savedInMemory(model, options);
    model.dispose();
    return folder;
  };

  test('a folder without a model', async () => {
    const folder = await saved();
    const config = folder.files.get('config.json') as Uint8Array<ArrayBuffer>;
    folder.files.delete('config.json');
    expect(await refusal(folder)).toBe(
      'loadReformer: there is no config.json with an object in the folder given. Give the folder of a model.',
    );
    folder.files.set('config.json', config).delete(WEIGHTS);
    expect(await refusal(folder)).toBe(
      'loadReformer: there is no model.safetensors and no model.safetensors.index.json in the folder given. Give the folder of a model.',
    );
    folder.files.set('pytorch_model.bin', new Uint8Array(9));
    expect(await refusal(folder)).toMatch(
      /weights in pytorch_model\.bin, which only Python reads\. .*save_pretrained/,
    );
    const missing = join(temporary, 'nowhere');
    await expect(loadReformer(missing)).rejects.toThrow(`in ${missing}. Give the folder`);
  });

  test('a config.json that is none', async () => {
    const folder = await saved();
    folder.edit('config.json', (text) => text.slice(0, -5));
    expect(await refusal(folder)).toBe(
      'loadReformer: config.json in the folder given is not JSON. Get the file again.',
    );
    folder.edit('config.json', () => JSON.stringify({ ...SMALL, axial_pos_embds_dim: [3, 6] }));
    expect(await refusal(folder)).toMatch(/`axial_pos_embds_dim` must add up to `hidden_size`, 8/);
  });

  test('a file that is cut off, before any of its weights are read', async () => {
    const folder = await saved();
    const whole = folder.files.get(WEIGHTS) as Uint8Array<ArrayBuffer>;
    folder.files.set(WEIGHTS, whole.slice(0, -1));
    folder.bytesRead = 0;
    expect(await refusal(folder)).toBe(
      `loadReformer: model.safetensors in the folder given is truncated or damaged: its header describes ${whole.length} bytes, and it has ${whole.length - 1}. Get the file again.`,
    );
    const header = 8 + Number(Buffer.from(whole).readBigUInt64LE());
    expect(folder.bytesRead).toBe(header + (folder.files.get('config.json')?.length ?? 0));
  });

  test('another model’s weights, all of them named in one error', async () => {
    const folder = await saved();
    const tensors = tensorsOf(folder);
    const layer = 'reformer.encoder.layers.0';
    tensors.delete(`${layer}.attention.self_attention.key.weight`);
    tensors.set('lm_head.bias', zeros(12));
    tensors.set(`${layer}.feed_forward.dense.dense.bias`, { shape: [12], values: new Int32Array(12) });
    for (let i = 0; i < 7; i++) {
      tensors.set(`extra.${i}`, zeros(1));
    }
    put(folder, tensors);
    expect(await refusal(folder)).toBe(
      'loadReformer: the weights in the folder given are not those of the model in its config.json: ' +
        `1 missing (${layer}.attention.self_attention.key.weight); ` +
        '7 not of this model (extra.0, extra.1, extra.2, extra.3, extra.4, and 2 more); ' +
        '1 of another shape (lm_head.bias [12] for [11]); ' +
        `1 no floats (${layer}.feed_forward.dense.dense.bias I32). Give both from the same model.`,
    );
  });

  test('an index that does not fit its files', async () => {
    const folder = await saved({ maxShardBytes: 3000 });
    const second = 'model-00002-of-00002.safetensors';
    const shard = folder.files.get(second) as Uint8Array<ArrayBuffer>;
    folder.files.delete(second);
    expect(await refusal(folder)).toBe(
      `loadReformer: ${second}, which ${INDEX} names, is not in the folder given. Add the file.`,
    );
    put(folder, tensorsOf(folder, 'model-00001-of-00002.safetensors'), second);
    expect(await refusal(folder)).toMatch(/missing \(.*; \d+ in two files \(lm_head\.bias, /);
    folder.files.set(second, shard);
    for (const [weight_map, seen] of [
      [{ a: '../model.safetensors' }, 'no `weight_map`'],
      [{ a: '..' }, 'no `weight_map`'],
      [{ a: 1 }, 'no `weight_map`'],
      [{}, 'no `weight_map`'],
    ]) {
      folder.edit(INDEX, () => JSON.stringify({ weight_map }));
      expect(await refusal(folder)).toContain(seen);
    }
    folder.edit(INDEX, () => 'null');
    expect(await refusal(folder)).toContain('no `weight_map` from tensors to files of the folder');
  });

  test('what is no source, option or target', async () => {
    for (const source of [undefined, null, 7, {}, [1]]) {
      await expect(loadReformer(source as never)).rejects.toThrow(
        /^loadReformer: the source must be a path, a URL/,
      );
    }
    await expect(loadReformer('x', { progress: 1 } as object)).rejects.toThrow(
      'there is no option `progress`',
    );
    await expect(loadReformer('x', { onProgress: 1 as never })).rejects.toThrow(
      '`onProgress` must be a function, got number.',
    );
    const model = smallModel();
    await expect(saveReformer(model, {} as never)).rejects.toThrow(
      'saveReformer: the target must be the path of a folder, or an object with a method `write`.',
    );
    await expect(saveReformer(model, 'https://example.org/model')).rejects.toThrow(
      /cannot write to https:.*write\(name, blob\)/,
    );
    await expect(saveReformer(model, 'x', { dtype: 'float8' as never })).rejects.toThrow(
      "`dtype` must be 'float32' or 'float16'",
    );
    await expect(saveReformer(model, 'x', { maxShardBytes: 0 })).rejects.toThrow(
      '`maxShardBytes` must be an integer from 1 up',
    );
    model.dispose();
  });

  test('every header with a fault', async () => {
    const seed = 5;
    const random = uniform(seed);
    const below = (most: number) => Math.floor(random() * most);
    const folder = await saved();
    const whole = Buffer.from(folder.files.get(WEIGHTS) as Uint8Array);
    const reference = await loadReformer(folder);
    const bits = await bitsOf(reference);
    reference.dispose();
    const header = 8 + Number(whole.readBigUInt64LE());
    let refused = 0;
    for (let round = 0; round < 600; round++) {
      const place = below(header);
      const digit = whole.subarray(0, header).indexOf(String(below(10)), place) + 1 || place + 1;
      const kind = below(4);
      const file = [
        () => Buffer.concat([whole.subarray(0, place), Buffer.of(below(256)), whole.subarray(place + 1)]),
        () => whole.subarray(0, below(whole.length)),
        () => Buffer.concat([whole.subarray(0, place), whole.subarray(place + 1 + below(40))]),
        () =>
          Buffer.concat([
            whole.subarray(0, digit),
            Buffer.from(String(below(10))),
            whole.subarray(digit + 1),
          ]),
      ][kind]?.() as Buffer;
      folder.files.set(WEIGHTS, Uint8Array.from(file));
      try {
        const read = await withoutLeak(() => loadReformer(folder));
        expect(await bitsOf(read), `seed ${seed}, round ${round}`).toEqual(bits);
        read.dispose();
      } catch (error) {
        refused++;
        expect((error as Error).message, `seed ${seed}, round ${round}`).toMatch(
          /^loadReformer: (model\.safetensors in the folder given is truncated or damaged: .* Get the file again|the weights in the folder given are not those .* Give both from the same model)\.$/s,
        );
      }
    }
    expect(refused).toBeGreaterThan(400);
  });
});

describe('an earlier model in the folder', () => {
  const filesOf = (folder: string) =>
    Object.fromEntries(
      readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
    );

  test('survives a failure', async () => {
    const folder = join(temporary, 'earlier');
    const [first, second] = [smallModel(), smallModel({}, 8)];
    await saveReformer(first, folder);
    writeFileSync(join(folder, 'tokenizer.json'), '{}');
    const before = filesOf(folder);

    const weight = second.weights.get('lm_head.decoder.weight');
    weight?.assign(tf.fill(weight.shape, 65520));
    await expect(withoutLeak(() => saveReformer(second, folder, { dtype: 'float16' }))).rejects.toThrow(
      "saveReformer: `dtype: 'float16'` cannot hold 65520, a weight of `lm_head.decoder.weight`: its numbers end at 65504. Save float32.",
    );
    expect(filesOf(folder)).toEqual(before);

    mkdirSync(join(folder, 'config.json.partial'));
    await expect(saveReformer(second, folder)).rejects.toThrow(
      /^saveReformer: .*earlier cannot be written: .*EISDIR/,
    );
    rmSync(join(folder, 'config.json.partial'), { recursive: true });
    expect(filesOf(folder)).toEqual(before);
    for (const model of [first, second]) {
      model.dispose();
    }
  });

  test('leaves no weights beside the new ones, and nothing else goes', async () => {
    const folder = join(temporary, 'changing');
    const [first, second] = [smallModel(), smallModel({}, 8)];
    await saveReformer(first, folder);
    writeFileSync(join(folder, 'README.md'), 'mine');
    const sharded = [
      'README.md',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      INDEX,
    ];
    await saveReformer(second, folder, { maxShardBytes: 3000 });
    expect(readdirSync(folder)).toEqual(sharded);
    const read = await loadReformer(folder);
    expect(await bitsOf(read)).toEqual(await bitsOf(second));
    await saveReformer(first, folder);
    expect(readdirSync(folder)).toEqual(['README.md', 'config.json', WEIGHTS]);
    for (const model of [first, second, read]) {
      model.dispose();
    }
  });

  test('an object that cannot write is named', async () => {
    const model = smallModel();
    const target = {
      write: () => {
        throw new Error('the disk is full');
      },
    };
    await expect(withoutLeak(() => saveReformer(model, target))).rejects.toThrow(
      'saveReformer: model.safetensors cannot be written: the disk is full.',
    );
    model.dispose();
  });
});

test.each(['lm_causal', 'lm_short_eval', 'masked_lm'])(
  '%s, as transformers saved it, is read',
  async (name) => {
    const folder = `test/golden/data/huggingface/models/${name}`;
    const model = await withoutLeak(() => loadReformer(folder));
    const { tensors } = parseSafetensors(readFileSync(join(folder, WEIGHTS)));
    expect([...model.weights.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [key, { shape, values }] of tensors) {
      expect(model.weights.get(key)?.shape).toEqual(shape);
      expect(await model.weights.get(key)?.data()).toEqual(values);
    }
    const logits = model.logits([[5, 6, 7, 8]]);
    expect(logits.shape).toEqual([1, 4, 97]);
    // What we write of it has the same weights, and says nothing else of the model.
    const folderOfOurs = await savedInMemory(model);
    const again = await loadReformer(folderOfOurs);
    expect(again.config).toEqual({ ...model.config, others: again.config.others });
    expect(await bitsOf(again)).toEqual(await bitsOf(model));
    for (const each of [logits, model, again]) {
      each.dispose();
    }
  },
);
