import { describe, expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { lean, shortNames } from '../../scripts/leanWgsl.js';
import { hold } from '../../src/node/dawn.js';
import { compile, withSizes, withStorage } from '../../src/webgpu/dispatch.js';
import { signatureOf } from '../../src/webgpu/kernels.js';
import { KERNEL_NAMES, kernels } from '../kernels.js';

const SHORT = shortNames(Object.values(kernels));
const TOKEN =
  /\/\/.*|\/\*[\s\S]*?\*\/|[a-z_]\w*|(?:0x[\da-f]+|\d+\.?\d*(?:e[-+]?\d+)?)[iuf]?|->|&&|\|\||<<|>>|\+\+|--|[-+*/%&|^!<>=]=|\S/gi;
const isName = (token: string) => /^[a-z_]/i.test(token);

function tokensOf(code: string): string[] {
  return Array.from(code.matchAll(TOKEN), ([token]) => token).filter((token) => !/^\/[/*]/.test(token));
}

/** What becomes of each name; an error unless the tokens are the same but for names, one for one. */
function renaming(code: string, shipped: string): Map<string, string> {
  const before = tokensOf(code);
  const after = tokensOf(shipped);
  const names = new Map<string, string>();
  for (const [i, token] of before.entries()) {
    const other = after[i] ?? 'nothing';
    const known = isName(token) && isName(other) ? (names.get(token) ?? other) : token;
    if (known !== other) {
      throw new Error(`token ${i} is ${other}, not ${known}, after ${before.slice(i - 5, i).join(' ')}`);
    }
    names.set(token, other);
  }
  if (after.length > before.length || new Set(names.values()).size < names.size) {
    throw new Error('there are more tokens than before, or fewer names');
  }
  return names;
}

describe('what ships of a kernel', async () => {
  Object.assign(globalThis, globals);
  // Validates without a driver. A collected instance, adapter or device would end the process.
  const adapter = hold((await hold(create(['backend=null'])).requestAdapter()) as GPUAdapter);
  const device = hold(await adapter.requestDevice({ requiredFeatures: ['subgroups', 'shader-f16'] }));

  test.each(KERNEL_NAMES)('%s', async (name) => {
    const code = kernels[name];
    const shipped = lean(code, SHORT);
    expect(shipped.length).toBeLessThan(0.7 * code.length);
    const names = renaming(code, shipped);
    const { overrides } = new WgslReflect(code);
    for (const kept of ['main', 'Params', ...overrides.map((override) => override.name)]) {
      expect(names.get(kept) ?? kept).toBe(kept);
    }
    expect(signatureOf(shipped)).toEqual(signatureOf(code));
    // What the host edits in the text is edited there too.
    const sizes = Object.fromEntries(
      ['ROWS', 'SUBGROUP', 'DEPTH_VECTORS', 'COLUMN_VECTORS', 'KEY_VECTORS'].map((size) => [size, 77]),
    );
    renaming(withSizes(code, sizes), withSizes(shipped, sizes));
    renaming(withStorage(code, true), withStorage(shipped, true));

    device.pushErrorScope('validation');
    compile(device, { kernel: name, code: shipped, constants: {}, sizes: {} });
    expect((await device.popErrorScope())?.message).toBeUndefined();
  });
});

describe('the comparison', () => {
  const code = kernels['attend/forward'];
  const shipped = lean(code, SHORT);

  test('misses no token', () => {
    const tokens = tokensOf(shipped);
    for (let i = 0; i < tokens.length; i += 37) {
      expect(
        () => renaming(code, [...tokens.slice(0, i), ...tokens.slice(i + 1)].join(' ')),
        tokens[i],
      ).toThrow();
      expect(
        () => renaming(code, [...tokens.slice(0, i), '+', ...tokens.slice(i)].join(' ')),
        tokens[i],
      ).toThrow();
    }
  });

  test.each([
    ['let a = b - -c;', 'let a=b--c;'],
    ['let a = 1; let b = a;', 'let x=1;let y=y;'],
    ['let a = 1; let b = a;', 'let x=1;let x=x;'],
    ['let a = b + 1u;', 'let a=b+2u;'],
  ])('%s is not %s', (before, after) => {
    expect(() => renaming(before, after)).toThrow();
  });
});

test('blanks stay where tokens would meet, and names that are not a function’s own', () => {
  const code = `
    struct Params { length: u32, }
    struct Pair { first: f32, second: f32 } // a pair
    const ROWS: u32 = 4u;
    var<workgroup> shared_: array<f32, 4>;
    fn half(of_: Pair) -> f32 { let distance = distance(of_.first, - -1.0); return distance / 2.0; }
    @compute @workgroup_size(64)
    fn main() { let first = half(Pair(1.0, 2.0)); shared_[0] = first; /* no more */ }`;
  const shipped = lean(code, shortNames([code]));
  const names = renaming(code, shipped);
  const kept = ['Params', 'length', 'ROWS', 'first', 'second', 'distance', 'main', 'f32', 'workgroup'];
  expect(kept.map((name) => names.get(name))).toEqual(kept);
  expect(['half', 'of_', 'shared_', 'Pair'].filter((name) => names.get(name) === name)).toEqual([]);
  expect(shipped).toContain('- -1.0');
  expect(shipped).not.toContain('pair');
});
