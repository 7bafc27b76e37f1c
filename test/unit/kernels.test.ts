import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { appendPlan, movePlan } from '../../src/attention/decode/plan.js';
import { densePlan } from '../../src/attention/dense/passes.js';
import { Door } from '../../src/door.js';
import { SCHEMES } from '../../src/hashing/minhash/schemes.js';
import { minHashProgram } from '../../src/hashing/minhash/webgpu.js';
import { type AttentionPlan, plan } from '../../src/index.js';
import { hold } from '../../src/node/dawn.js';
import { searchProgram } from '../../src/search/passes.js';
import { probes } from '../../src/webgpu/ceilings.js';
import { compile, withSizes } from '../../src/webgpu/dispatch.js';
import { type KernelName, signatureOf } from '../../src/webgpu/kernels.js';
import { DEFAULT_TRAITS } from '../../src/webgpu/traits.js';
import { KERNEL_NAMES, kernels } from '../kernels.js';

/** Calls whose plans hold every kernel and every way to run it. */
const PLANS = [
  plan({ L: 100, D: 8 }),
  plan(
    { L: 96, D: 8, E: 200 },
    { duplicates: 'count', roundBoundary: 'wrap', chunkLength: 16, causal: true },
  ),
  plan({ L: 100, D: 8 }, { numHashes: 1, acrossBuckets: false, numBuckets: [4, 8] }),
  plan({ L: 100, D: 8 }, { window: 'bucket', dropout: 0.1 }),
  plan({ L: 100, D: 80 }, { rotation: 'hadamard' }),
  plan({ L: 100, D: 8 }, { storage: 'float16' }, { f16: true }),
  plan({ L: 100, D: 8 }, {}, { subgroupSize: 8, software: true }),
  plan({ L: 100, D: 8 }, { dropout: 0.1 }, { subgroupSize: 32 }),
];
const CALL = PLANS[0] as AttentionPlan;
const HELD = { B: 1, length: 50, capacity: 64 };
const CACHE_PLANS = [
  ...[true, false].map((correct) =>
    appendPlan({ ...CALL.shape, L: 3 }, { ...CALL.settings, correct }, HELD, true, DEFAULT_TRAITS),
  ),
  ...[true, false].map((reorders) =>
    movePlan(CALL.shape, CALL.settings, HELD, { ...HELD, capacity: 128 }, reorders, DEFAULT_TRAITS),
  ),
];
const DENSE_PLANS = (['DenseAttention', 'DenseAttentionGradient'] as const).flatMap((name) =>
  [undefined, { batch: 70, head: 0, query: 0 }].flatMap((mask) =>
    [DEFAULT_TRAITS, { ...DEFAULT_TRAITS, subgroupSize: 8, software: true }].map((device) =>
      densePlan(
        name,
        { B: 2, H: 2, L: 70, Lk: 70, D: 8, E: 40 },
        {
          ...{ causal: true, sharedQk: false, scale: 1, dropout: 0.1, seed: 0 },
          ...(mask && { mask }),
        },
        mask ? 560 : 0,
        device,
        new Door('plan'),
      ),
    ),
  ),
);
const SEARCH_PROGRAMS = (['euclidean', 'cosine', 'innerProduct'] as const).flatMap((metric) =>
  [false, true].flatMap((half) =>
    [undefined, { vectors: 2, bits: 256, width: 200 }].flatMap((codes) =>
      [4, 40].map((queries) =>
        searchProgram({
          ...{ slots: 3000, queries, vectors: 5, half, metric, rowScale: 1, k: 10, ...(codes && { codes }) },
          parts: [
            { first: 0, count: 2000 },
            { first: 2000, count: 1000 },
          ],
        }),
      ),
    ),
  ),
);
const OP_PLANS = PLANS.flatMap(({ forward, backward }) => [...forward, backward]);
const SET_PLANS = SCHEMES.map((scheme) => minHashProgram(3, 100, { k: 130, scheme }));
const PASSES = [
  ...[...OP_PLANS, ...DENSE_PLANS, ...CACHE_PLANS, ...SET_PLANS, ...SEARCH_PROGRAMS].flatMap(({ batches }) =>
    batches.flatMap(({ passes }) => passes),
  ),
  ...Object.values(probes).flatMap((probe) => probe(1)),
];

/** Comments out: reasons may say what code may not. */
function withoutComments(code: string): string {
  return code.replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '');
}

/**
 * Variables of functions that no value is given to: the language makes them zero, but some drivers
 * forget to in loops.
 */
function uninitialised(code: string): string[] {
  return Array.from(withoutComments(code).matchAll(/\bvar\s+\w+\s*:[^=;]*;/g), ([found]) => found);
}

/** Numbers that GPUs may flush to zero. */
function denormal(code: string): string[] {
  const numbers = withoutComments(code).matchAll(/\b\d+(\.\d+)?e-\d+/g);
  return Array.from(numbers, ([found]) => found).filter((found) => Number(found) < 2 ** -126);
}

test('every file is in the table of one room', () => {
  const files = readdirSync('kernels', { recursive: true, encoding: 'utf8' });
  const wgsl = files.filter((file) => file.endsWith('.wgsl')).map((file) => file.slice(0, -'.wgsl'.length));
  expect([...KERNEL_NAMES].sort()).toEqual(wgsl.sort());
});

describe.each(KERNEL_NAMES)('%s', (name) => {
  const code = kernels[name];
  const signature = signatureOf(code);
  const reflected = new WgslReflect(code);

  test('is the module of its file', () => {
    expect(code).toBe(readFileSync(`kernels/${name}.wgsl`, 'utf8'));
  });

  test('has one entry point, main', () => {
    expect(reflected.entry.compute.map((entry) => entry.name)).toEqual(['main']);
    expect(reflected.entry.vertex.length + reflected.entry.fragment.length).toBe(0);
  });

  test('has the bindings that the host reads, in their order and with their access', () => {
    const bindings = [...reflected.uniforms, ...reflected.storage]
      .sort((a, b) => a.binding - b.binding)
      .map(({ name: binding, group, binding: index, access }) => ({ binding, group, index, access }));
    const access = { read: 'read', write: 'read_write' } as const;
    expect(bindings).toEqual([
      { binding: 'params', group: 0, index: 0, access: expect.anything() },
      ...Object.entries(signature.buffers).map(([binding, use], i) => ({
        binding,
        group: 0,
        index: i + 1,
        access: access[use],
      })),
    ]);
  });

  test('has the Params that the host reads, in their order and with their types', () => {
    const params = reflected.structs.find((struct) => struct.name === 'Params');
    const members = params?.members.map((member) => ({ name: member.name, type: typeName(member.type) }));
    const expected = signature.params.map(({ name: field, type, length }) => ({
      name: field,
      type: length === undefined ? type : `array<vec4<${type}>, ${length / 4}>`,
    }));
    expect(members).toEqual(expected);
    let end = 0;
    for (const [i, { length }] of signature.params.entries()) {
      const offset = length === undefined ? end : Math.ceil(end / 16) * 16;
      expect(params?.members[i]?.offset).toBe(offset);
      end = offset + 4 * (length ?? 1);
    }
    expect(end).toBeLessThanOrEqual(256);
  });

  test('gives every variable a value', () => {
    expect(uninitialised(code)).toEqual([]);
  });

  test('has no number that a GPU may take for zero', () => {
    expect(denormal(code)).toEqual([]);
  });

  const passes = PASSES.filter((pass) => pass.kernel === name);

  test('is given all its overrides, sizes and parameters, and no others', () => {
    expect(passes.length).toBeGreaterThan(0);
    const overrides = reflected.overrides.map((override) => override.name).sort();
    const fields = signature.params.map((field) => field.name);
    for (const { constants, sizes, params, aliases } of passes) {
      expect(Object.keys(constants).sort()).toEqual(overrides);
      for (const size of Object.keys(sizes)) {
        expect(code).toMatch(new RegExp(`^const ${size}: u32 = \\d+u;`, 'm'));
        expect(withSizes(code, { [size]: 77 })).toContain(`const ${size}: u32 = 77u;`);
      }
      for (const field of fields.filter((one) => one !== 'workgroups')) {
        expect(params, field).toHaveProperty(field);
      }
      for (const binding of Object.keys(aliases)) {
        expect(Object.keys(signature.buffers)).toContain(binding);
      }
    }
  });
});

interface Type {
  readonly name: string;
  readonly format?: Type | null;
  readonly count?: number;
}

/** `u32`, `f32` or `array<vec4<u32>, 4>`, however the module spells them. */
function typeName(type: Type): string {
  if (type.name === 'array' && type.format) {
    return `array<${typeName(type.format)}, ${type.count}>`;
  }
  return (
    { vec4u: 'vec4<u32>', vec4f: 'vec4<f32>' }[type.name] ??
    (type.format ? `${type.name}<${type.format.name}>` : type.name)
  );
}

test('functions of one name are one text in every kernel', () => {
  const texts = new Map<string, { readonly text: string; readonly kernel: KernelName }>();
  for (const kernel of KERNEL_NAMES) {
    const functions = withoutComments(kernels[kernel]).matchAll(/^fn (?!main\()(\w+)\([\s\S]*?^}/gm);
    for (const [found, name = ''] of functions) {
      const text = found.replace(/\s+/g, ' ');
      const other = texts.get(name);
      expect(text, `${name} in ${kernel} and ${other?.kernel}`).toBe(other?.text ?? text);
      texts.set(name, { text, kernel });
    }
  }
  expect(texts.size).toBeGreaterThan(20);
});

describe('the lint for variables without a value', () => {
  test.each([
    ['fn f() { var sum: f32; sum += 1.0; }', 1],
    ['fn f() { var sums: array<vec4<f32>, 4>; }', 1],
    ['fn f() { for (var i = 0u; i < 4u; i++) { var t : u32 ;\n var u: vec4f; } }', 2],
    ['fn f() { var sum: f32 = 0.0; var t = 1u; /* var x: f32; */ } // var y: f32;', 0],
    ['var<workgroup> tile: array<u32, 4>;\n@group(0) @binding(0) var<uniform> params: Params;', 0],
  ])('%s', (code, count) => {
    expect(uninitialised(code)).toHaveLength(count);
  });
});

describe('every variant compiles', async () => {
  Object.assign(globalThis, globals);
  // Validates without a driver. A collected instance, adapter or device would end the process.
  const gpu = hold(create(['backend=null']));
  const adapter = hold((await gpu.requestAdapter()) as GPUAdapter);
  const requiredFeatures = (['subgroups', 'shader-f16'] as const).filter((feature) =>
    adapter.features.has(feature),
  );
  const device = hold(await adapter.requestDevice({ requiredFeatures }));

  async function errorOf(
    kernel: KernelName,
    constants: Record<string, number>,
    sizes: Record<string, number>,
    half = false,
  ) {
    device.pushErrorScope('validation');
    device.pushErrorScope('internal');
    compile(device, { kernel, code: kernels[kernel], constants, sizes, half });
    const errors = [await device.popErrorScope(), await device.popErrorScope()];
    return errors.find((error) => error !== null)?.message;
  }

  test.each(KERNEL_NAMES)('%s', async (name) => {
    const flags = new WgslReflect(kernels[name]).overrides.map(({ name: flag }) => flag);
    const constantsOfText = ['COLUMN_VECTORS', 'DEPTH_VECTORS', 'ROWS'].filter((size) =>
      kernels[name].includes(`const ${size}:`),
    );
    // Sizes change arrays alone: all flags at one of them, no flag at the others.
    for (const vectors of constantsOfText.length > 0 ? [2, 1, 4, 8] : [0]) {
      const of = (size: string) => (size === 'ROWS' ? Math.min(vectors, 4) : vectors);
      const sizes = Object.fromEntries(constantsOfText.map((size) => [size, of(size)]));
      for (const constants of vectors === 2 || vectors === 0 ? combinations(flags) : [{}]) {
        const variant = JSON.stringify({ ...constants, ...sizes });
        expect(await errorOf(name, constants, sizes), variant).toBeUndefined();
      }
    }
  });

  test('on rows of 16-bit floats too', async () => {
    for (const name of ['attend/normalise', 'attend/forward', 'attend/forward_subgroup'] as const) {
      expect(await errorOf(name, {}, {}, true), name).toBeUndefined();
    }
  });

  test('and a faulty one does not', async () => {
    expect(await errorOf('attend/normalise', { NO_SUCH: 1 }, {})).toContain('NO_SUCH');
  });
});

/** All settings of some flags. */
function combinations(flags: readonly string[]): Record<string, number>[] {
  return Array.from({ length: 2 ** flags.length }, (_, bits) =>
    Object.fromEntries(flags.map((flag, i) => [flag, (bits >> i) & 1])),
  );
}
