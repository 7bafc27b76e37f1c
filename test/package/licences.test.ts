/** Whose work this is built with and run beside: THIRD-PARTY.md lists it, and no licence comes in unread. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly peerDependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const { peerDependencies, devDependencies } = read('package.json') as Manifest;

/** Licences under which tools and peers may be used beside an Apache-2.0 package that brings none of them along. */
const ACCEPTED = new Set([
  ...['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0', 'Unlicense'],
  'Python-2.0', // argparse, in typedoc: asks for its notice alone
  'MPL-2.0', // lightningcss, in vite: a tool, which leaves nothing of itself in dist
]);

/** Whether all parts of an SPDX expression are accepted. */
function isAccepted(expression: string | undefined): boolean {
  const parts = expression?.replace(/[()]/g, '').split(/ (?:AND|OR) /) ?? [];
  return parts.length > 0 && parts.every((part) => ACCEPTED.has(part));
}

test('every package that is installed has a licence that was accepted', () => {
  const { packages } = read('package-lock.json') as { packages: Record<string, Manifest> };
  const installed = Object.entries(packages).filter(([path]) => path !== '');
  expect(installed.length).toBeGreaterThan(100);
  const others = installed.filter(([, { license }]) => !isAccepted(license));
  expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
});

test('an unknown licence is refused', () => {
  expect(isAccepted('(MIT AND BSD-3-Clause)')).toBe(true);
  for (const expression of ['GPL-3.0-only', 'MIT AND GPL-3.0-only', 'SEE LICENSE IN FILE', '', undefined]) {
    expect(isAccepted(expression)).toBe(false);
  }
});

test('THIRD-PARTY.md lists peers and tools', async () => {
  const row = (name: string) => {
    const { version, license } = read(`node_modules/${name}/package.json`) as Manifest;
    return `| ${name} | ${version} | ${license} |`;
  };
  const table = (names: readonly string[]) =>
    ['| package | tested with | licence |', '|---|---|---|', ...[...names].sort().map(row)].join('\n');
  const peers = Object.keys(peerDependencies);
  const tools = Object.keys(devDependencies).filter((name) => !peers.includes(name));
  const text = `# Third parties

Nothing of others is in the published package, and it installs nothing. It runs beside these, which its user installs:

${table(peers)}

It is built, tested and measured with these:

${table(tools)}
`;
  // npx vitest run --project node test/package/licences.test.ts -u writes it anew.
  await expect(text).toMatchFileSnapshot('../../THIRD-PARTY.md');
});
